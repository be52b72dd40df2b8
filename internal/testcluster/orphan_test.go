package testcluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

const orphanVariable = "PGROUTER_TEST_ORPHAN"

// TestOwner is the process that TestADeadProcessLeavesNoServers kills.
func TestOwner(t *testing.T) {
	if os.Getenv(orphanVariable) == "" {
		t.Skip("runs as a child of TestADeadProcessLeavesNoServers")
	}
	c, err := testcluster.Start(context.Background(), testcluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Node(0).Stop()
	fmt.Printf("\n%d\n%s\n", c.Node(0).PID(), c.Dir())
	select {}
}

// The server was frozen when its owner died, so that the parent-death signal cannot end it: the next sweep must.
func TestADeadProcessLeavesNoServers(t *testing.T) {
	if _, err := testcluster.FindBinaries(context.Background()); err != nil {
		t.Skip(err)
	}
	owner := exec.CommandContext(limit(t), os.Args[0], "-test.run=^TestOwner$")
	owner.Env = append(os.Environ(), orphanVariable+"=1")
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	pid, dir := 0, ""
	for dir == "" && lines.Scan() {
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			pid = n
		} else if filepath.IsAbs(lines.Text()) {
			dir = lines.Text()
		}
	}
	if pid == 0 || dir == "" {
		t.Fatalf("the owner did not start a cluster: %v", owner.Wait())
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	// Only old directories are swept.
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "lock"), past, past); err != nil {
		t.Fatal(err)
	}
	c, err := testcluster.Start(limit(t), testcluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was not swept: %v", dir, err)
	}
	// Whose parent is gone is reaped by init, if there is one that does: a zombie is dead too.
	if err := syscall.Kill(pid, 0); err == nil && !zombie(pid) {
		t.Errorf("server %d still lives", pid)
	}
	if _, err := os.Stat(c.Dir()); err != nil {
		t.Errorf("the sweep took a living cluster: %v", err)
	}
}

func zombie(pid int) bool {
	exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	return err != nil || exe == ""
}
