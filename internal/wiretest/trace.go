package wiretest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// Trace is what some peers sent (">") and received ("<"), one line per message in the order in which their test did so. It is
// therefore the same in each run as long as the other sides are. The lines of servers stand farther right. All methods may be
// called from any goroutine.
type Trace struct {
	mu struct {
		sync.Mutex
		lines []string
	}
}

// The arrows of a trace's lines.
const (
	sent     = " > "
	received = " < "
)

// Note adds a line of the test's own.
func (t *Trace) Note(line string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.lines = append(t.mu.lines, line)
}

// String returns all lines.
func (t *Trace) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.mu.lines) == 0 {
		return ""
	}
	return strings.Join(t.mu.lines, "\n") + "\n"
}

// Golden compares a trace with testdata/NAME.trace, or writes that file when the test runs with -update.
func Golden(t testing.TB, name string, trace *Trace) {
	t.Helper()
	path := filepath.Join("testdata", name+".trace")
	got := trace.String()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("no golden trace (make it with -update): %v", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (- golden, + got):\n%s", path, diff)
	}
}
