package testrouter

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Binary builds the router's binary, unless this test has done so, and returns its path. It stands beside the test's own, in the
// directory that go test removes: one that is younger than the test is of the same sources. To ask go build each time, which finds
// that out anew, takes as long as starting a server.
func Binary(t testing.TB) string {
	t.Helper()
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(test), "pgrouter.out")
	if younger(path, test) {
		return path
	}
	if err := build(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// younger reports whether a file is there, and was written after another one.
func younger(path, than string) bool {
	file, err := os.Stat(path)
	if err != nil {
		return false
	}
	other, err := os.Stat(than)
	return err == nil && file.ModTime().After(other.ModTime())
}

// build makes the binary. Nobody sees half of it: tests may run side by side.
func build(path string) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), "build")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fresh := filepath.Join(dir, "pgrouter")
	if out, err := exec.Command("go", "build", "-o", fresh, "github.com/pgrouter/pgrouter/cmd/pgrouter").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return os.Rename(fresh, path)
}
