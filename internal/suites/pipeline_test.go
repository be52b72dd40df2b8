//go:build suites

package suites

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// pipelineLimit is for one test of libpq_pipeline; on an idle machine it takes a fraction of a second.
const pipelineLimit = 2 * time.Minute

// TestLibPQPipelinePasses runs the tests of libpq's pipeline mode. Where PostgreSQL has written down what goes over the wire,
// message for message, that must be the same. In transaction mode strangers use the servers too.
func TestLibPQPipelinePasses(t *testing.T) {
	c := startCluster(t)
	empty := []string{"DROP SCHEMA public CASCADE", "CREATE SCHEMA public AUTHORIZATION " + testcluster.AppUser}
	listed, err := run(t, pipelineLimit, nil, suite(t, "bin", "libpq_pipeline"), "tests")
	names := strings.Fields(listed)
	if err != nil || len(names) == 0 {
		t.Fatalf("no tests: %v %s", err, listed)
	}
	directly := 0
	for _, w := range []way{direct(t, c, "directly"), throughCrowd(testcluster.DefaultDatabase, 3, 2)(t, c, "transaction"), through(t, c, "session")} {
		prepare(t, c, empty...)
		passed := 0
		began := time.Now()
		for _, name := range names {
			if t.Run(w.name+"/"+name, func(t *testing.T) { pipeline(t, w, name) }) {
				passed++
			}
		}
		t.Logf("libpq_pipeline, %s: %d of %d passed in %v", w.name, passed, len(names), time.Since(began).Round(time.Second))
		if w.name == "directly" {
			directly = passed
			continue
		}
		figure{suite: "libpq_pipeline", mode: w.name, tests: len(names), directly: directly, through: passed}.print(t)
	}
}

// pipeline runs one test and compares what libpq saw on the wire.
func pipeline(t *testing.T, w way, name string) {
	t.Helper()
	const rows = "700" // those of the written traces
	trace := filepath.Join(t.TempDir(), "trace")
	out, err := run(t, pipelineLimit, w.env(), suite(t, "bin", "libpq_pipeline"), "-r", rows, "-t", trace, name, "dbname="+testcluster.DefaultDatabase)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(suite(t, "libpq_pipeline", "traces"), name+".trace"))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	got, readErr := os.ReadFile(trace)
	if err := errors.Join(err, readErr); err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("another trace than PostgreSQL's own:\n%s", difference(string(want), string(got)))
	}
}
