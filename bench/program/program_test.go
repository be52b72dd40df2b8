package program

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAProgramOfAnotherDebianRunsWithThatOnesLibraries(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"usr/sbin/pgbouncer", "usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/libc.so.6"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(TrixieVariable, root)
	got, err := OfTrixie("sbin/pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{root + "/usr/lib64/ld-linux-x86-64.so.2", "--library-path", root + "/usr/lib/x86_64-linux-gnu", root + "/usr/sbin/pgbouncer"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	t.Setenv(TrixieVariable, t.TempDir())
	if _, err := OfTrixie("sbin/pgbouncer"); err == nil || !strings.Contains(err.Error(), "setup-bench") {
		t.Errorf("an empty folder: got %v, want an error that says what to do", err)
	}
}

func TestAProgramRunsUntilItIsStopped(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	c := Command{Args: []string{"/bin/sh", "-c", "echo here; exec sleep 1000"}, Version: []string{"/bin/echo", "sh 1"}, Log: log}
	p, err := c.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Exited():
		t.Error("it ended by itself")
	default:
	}
	p.Stop()
	<-p.Exited()
	if p.Version != "sh 1" {
		t.Errorf("version %q", p.Version)
	}
}

func TestTheProcessorIsNamed(t *testing.T) {
	if got := processor("processor\t: 0\nmodel name\t: Fast One\nmodel name\t: Other\n"); got != "Fast One" {
		t.Errorf("got %q", got)
	}
	if got := processor(""); got != "unknown processor" {
		t.Errorf("got %q", got)
	}
}

func TestTheTailOfALogIsShort(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintln(&b, i)
	}
	if got := Tail(b.String()); !strings.HasPrefix(got, "20\n") || !strings.HasSuffix(got, "29") {
		t.Errorf("got %q", got)
	}
}
