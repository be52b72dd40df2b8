package testrouter

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Binary builds the router's binary and returns its path. It stands beside the test's own, in the directory that go test removes:
// a second go build finds it finished there, while linking it anew takes as long as starting a cluster.
func Binary(t testing.TB) string {
	t.Helper()
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(test), "pgrouter.out")
	build := exec.Command("go", "build", "-o", path, "github.com/pgrouter/pgrouter/cmd/pgrouter")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}
