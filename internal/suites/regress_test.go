//go:build suites

package suites

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// regressLimit is for one run of a suite; on an idle machine it takes two minutes.
const regressLimit = 20 * time.Minute

// regression is a suite that is run by pg_regress or its like.
type regression struct {
	driver   string // in the folder's bin
	folder   string // of the suite; it holds the schedule
	schedule string
	database string
	ways     []detour
}

// detour is a way through a router, and what is not as well there.
type detour struct {
	name       string // of the router's pool mode
	reach      func(t *testing.T, c *testcluster.Cluster, mode string) way
	exceptions []exception
}

// TestTheRegressionTestsPassAsTheyDoDirectly holds a client to all that PostgreSQL's own tests can tell. In transaction mode two strangers
// use its two servers between any two transactions.
func TestTheRegressionTestsPassAsTheyDoDirectly(t *testing.T) {
	const database = "regression"
	regression{
		driver: "pg_regress", folder: "regress", schedule: "parallel_schedule", database: database,
		ways: []detour{
			{"session", throughFresh, nil},
			{"transaction", throughCrowd(database, 2, 2), regressExceptions},
		},
	}.compare(t)
}

// TestTheIsolationTestsPassAsTheyDoDirectly does so with several clients that block each other, as many as seven.
func TestTheIsolationTestsPassAsTheyDoDirectly(t *testing.T) {
	const database = "isolation_regression"
	regression{
		driver: "pg_isolation_regress", folder: "isolation", schedule: "isolation_schedule", database: database,
		ways: []detour{
			{"session", through, nil},
			{"transaction", throughCrowd(database, 10, 3), isolationExceptions},
		},
	}.compare(t)
}

// regressExceptions are those of the regression tests in transaction mode.
var regressExceptions = []exception{
	{
		why:    "The number that a sequence gave last is the server process's: currval is refused with 55000 when a stranger was there meanwhile.",
		chance: true, tests: []string{"constraints", "limit", "sequence"},
	},
	{
		why: "A server process keeps the libraries that it has loaded, and what a library in C has noted for itself; that it has had temporary " +
			"tables; and a client that comes begins no session of PostgreSQL's.",
		tests: []string{"guc", "triggers", "temp", "stats"},
	},
}

// isolationExceptions are those of the isolation tests in transaction mode.
var isolationExceptions = []exception{{
	why:    "The number of a process is the server's of the moment, and what it has counted it reports when it likes.",
	chance: true, tests: []string{"async-notify", "stats"},
}}

// outcome is what came of one run.
type outcome struct {
	passed, failed []string          // names of tests
	differences    map[string]string // by the name of a failed test: what it printed beside what it should have
	printed        map[string]string // by the name of a test: all that it printed, where that is another text each time
}

// compare runs the suite directly and through each router, each time on a PostgreSQL of its own.
func (r regression) compare(t *testing.T) {
	t.Helper()
	if of := version(t); of != suiteVersion(t) {
		t.Skipf("what is expected of PostgreSQL %d is not here: the tests are those of %d", of, suiteVersion(t))
	}
	want := r.run(t, detour{name: "directly", reach: direct})
	for _, d := range r.ways {
		judge(t, d.exceptions, func(again bool) []string {
			if again {
				want = r.run(t, detour{name: "directly", reach: direct})
			}
			got := r.run(t, d)
			compared(r.driver, d.name, want, got).with(t, d.exceptions).print(t)
			return worse(t, want, got)
		})
	}
}

// suiteVersion is the version of PostgreSQL that the suites are of.
func suiteVersion(t *testing.T) (major int) {
	t.Helper()
	recipe, err := os.ReadFile(suite(t, "recipe"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(recipe), &major); err != nil {
		t.Fatal(err)
	}
	return major
}

// worse returns which tests did worse through a router: those that passed directly, and those that failed both ways, but not alike.
func worse(t *testing.T, want, got outcome) (names []string) {
	t.Helper()
	if all := len(want.passed) + len(want.failed); all == 0 || len(got.passed)+len(got.failed) != all {
		t.Errorf("%d tests ran directly, %d through the router", all, len(got.passed)+len(got.failed))
	}
	for _, name := range slices.Concat(want.passed, want.failed) {
		failed := slices.Contains(want.failed, name)
		switch here, there := want.differences[name], got.differences[name]; {
		case slices.Contains(got.passed, name):
			if failed {
				t.Logf("%s fails directly and passes through the router", name)
			}
		case !failed:
			t.Logf("%s passes directly and fails through the router:\n%s", name, cmp.Or(there, got.printed[name]))
			names = append(names, name)
		case here == there:
			t.Logf("%s fails both ways alike:\n%s", name, here)
		default:
			t.Logf("%s fails both ways, directly:\n%s\nand through the router:\n%s", name, here, there)
			names = append(names, name)
		}
	}
	return names
}

// throughCrowd runs a router in transaction mode with so many servers, which so many strangers use too.
func throughCrowd(database string, size, strangers int) func(*testing.T, *testcluster.Cluster, string) way {
	return func(t *testing.T, c *testcluster.Cluster, mode string) way {
		t.Helper()
		w := throughSet(t, c, mode, fmt.Sprintf("size = %d", size))
		testrouter.Crowd(t, w.url(testcluster.AppUser, database), strangers)
		return w
	}
}

// throughFresh runs a router that uses no server connection for two sessions, because it closes what it cannot reset. Some tests see
// what a server process keeps for good: temp that it has had temporary tables, guc that it has loaded a library, stats that no session
// has begun.
func throughFresh(t *testing.T, c *testcluster.Cluster, name string) way {
	t.Helper()
	return throughSet(t, c, name, `reset_query = "SELECT 1/0"`)
}

// run runs the suite one way, on a PostgreSQL of its own.
func (r regression) run(t *testing.T, d detour) (o outcome) {
	t.Helper()
	t.Run(d.name, func(t *testing.T) {
		c := startCluster(t)
		r.createDatabase(t, c)
		w := d.reach(t, c, d.name)
		folder := openFolder(t)
		began := time.Now()
		// The server writes there too, as another account.
		const script = `umask 0; exec "$0" "$@"`
		out, err := run(t, regressLimit, w.env(), "/bin/sh", "-c", script, suite(t, "bin", r.driver), "--use-existing", "--dbname="+r.database,
			"--bindir="+suite(t, "bin"), "--dlpath="+suite(t, "lib"), "--inputdir="+suite(t, r.folder), "--outputdir="+folder,
			"--schedule="+suite(t, r.folder, r.schedule), "--max-connections=1")
		if o = results(out); err != nil && len(o.failed) == 0 {
			t.Errorf("%v\n%s", err, out)
		}
		o.differences = differences(t, filepath.Join(folder, "regression.diffs"))
		t.Logf("%s, %s: %d of %d passed in %v; failed: %s", r.driver, w.name, len(o.passed), len(o.passed)+len(o.failed),
			time.Since(began).Round(time.Second), strings.Join(o.failed, " "))
	})
	return o
}

// createDatabase makes the suite's database, set as pg_regress itself would.
func (r regression) createDatabase(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	statements := []string{"CREATE DATABASE " + r.database + " TEMPLATE template0 OWNER " + testcluster.AppUser}
	for _, setting := range []string{
		"lc_messages TO 'C'", "lc_monetary TO 'C'", "lc_numeric TO 'C'", "lc_time TO 'C'", "bytea_output TO 'hex'", "timezone_abbreviations TO 'Default'",
	} {
		statements = append(statements, "ALTER DATABASE "+r.database+" SET "+setting)
	}
	prepare(t, c, statements...)
}

// openFolder returns a folder that every account may write in.
func openFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, path := range []string{filepath.Dir(folder), folder} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// The lines of pg_regress: those of PostgreSQL 15, and the Test Anything Protocol of later ones.
var (
	line15  = regexp.MustCompile(`(?m)^(?:test)? +(\S+) +\.\.\. (ok|FAILED|failed)`)
	lineTAP = regexp.MustCompile(`(?m)^(ok|not ok) +\d+ +[-+] (\S+)`)
)

// results reads which tests passed and which did not from what pg_regress has printed.
func results(out string) (o outcome) {
	sort := func(name, result string) {
		if result == "ok" {
			o.passed = append(o.passed, name)
		} else {
			o.failed = append(o.failed, name)
		}
	}
	for _, m := range line15.FindAllStringSubmatch(out, -1) {
		sort(m[1], m[2])
	}
	for _, m := range lineTAP.FindAllStringSubmatch(out, -1) {
		sort(m[2], m[1])
	}
	return o
}

// differences reads what pg_regress writes where tests fail: the output of one diff after another.
func differences(t *testing.T, file string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	found := make(map[string]string)
	for part := range strings.SplitSeq("\n"+string(b), "\ndiff ") {
		heading, _, _ := strings.Cut(part, "\n")
		_, change, _ := strings.Cut(part, "\n@@") // between stand the names of files, and when they were written
		found[strings.TrimSuffix(filepath.Base(heading), ".out")] += "@@" + change
	}
	return found
}
