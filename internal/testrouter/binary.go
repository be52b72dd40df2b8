package testrouter

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Binary builds the router's binary for the test and returns its path. Go's build cache makes the second time cheap.
func Binary(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pgrouter")
	build := exec.Command("go", "build", "-o", path, "github.com/pgrouter/pgrouter/cmd/pgrouter")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}
