//go:build suites

package suites

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// protoLimit is for one data file; most take a few seconds, because pgproto waits a second after the last message that a Flush brings.
const protoLimit = time.Minute

// protoExceptions are the files that may differ in transaction mode.
var protoExceptions = []exception{{
	why: "A statement that is described anew on a server that had not parsed it shows the rows of now: what PostgreSQL refuses is no longer known " +
		"to be other than before.",
	chance: true, tests: []string{"changed-table"},
}}

// TestPgprotoSeesNoDifference plays each data file to PostgreSQL and to the router: every answer must come in the same order, with
// the same words. A file begins with a table t of ten rows. In transaction mode strangers use the same servers meanwhile.
func TestPgprotoSeesNoDifference(t *testing.T) {
	files, err := filepath.Glob("testdata/pgproto/*.data")
	if err != nil || len(files) == 0 {
		t.Fatalf("no data files: %v", err)
	}
	c := startCluster(t)
	// The name that pgproto gives itself: a server of the router's would go back to its own default when it is reset.
	prepare(t, c, "ALTER ROLE "+testcluster.AppUser+" SET application_name = 'pgproto'")
	oracle := direct(t, c, "directly")
	ways := []way{throughCrowd(testcluster.DefaultDatabase, 2, 2)(t, c, "transaction"), through(t, c, "session")}
	same := make([]int, len(ways))
	began := time.Now()
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".data")
		t.Run(name, func(t *testing.T) {
			want := play(t, c, oracle, file)
			for i, w := range ways {
				d := difference(want, play(t, c, w, file))
				if d != "" { // on a loaded machine an answer may come later than the second that pgproto waits for it
					t.Logf("REPEATED: %s (- PostgreSQL, + router):\n%s", w.name, d)
					d = difference(play(t, c, oracle, file), play(t, c, w, file))
				}
				unknown, _ := unexpected(protoExceptions, []string{name})
				switch {
				case d == "":
				case w.name == "transaction" && len(unknown) == 0:
					t.Logf("%s, excepted (- PostgreSQL, + router):\n%s", w.name, d)
					continue
				default:
					t.Errorf("%s, twice (- PostgreSQL, + router):\n%s", w.name, d)
					continue
				}
				same[i]++
			}
		})
	}
	for i, w := range ways {
		t.Logf("pgproto, %s: %d of %d files show no difference (all: %v)", w.name, same[i], len(files), time.Since(began).Round(time.Second))
		f := figure{suite: "pgproto", mode: w.name, tests: len(files), directly: len(files), through: same[i]}
		if w.name == "transaction" {
			f = f.with(t, protoExceptions)
		}
		f.print(t)
	}
}

// play plays one file and returns the conversation, without what is another one in each.
func play(t *testing.T, c *testcluster.Cluster, w way, file string) string {
	t.Helper()
	prepare(t, c, "DROP TABLE IF EXISTS t", "CREATE TABLE t (n int PRIMARY KEY, s text)", "ALTER TABLE t OWNER TO "+testcluster.AppUser,
		"INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 10) n")
	// pgproto ends with 1 when the server hangs up first, which some files want: what it has printed tells. It may be writing at that moment.
	out, err := run(t, protoLimit, w.env(), "env", "--ignore-signal=PIPE", suite(t, "bin", "pgproto"), "-d", testcluster.DefaultDatabase, "-f", file)
	if err != nil && err.Error() != "exit status 1" {
		t.Fatalf("%s: %v\n%s", w.name, err, out)
	}
	if !strings.Contains(out, "<= BE") {
		t.Fatalf("%s: nothing was answered:\n%s", w.name, out)
	}
	return volatile.ReplaceAllString(out, "")
}

// volatile is what names a process, or a place in PostgreSQL's sources.
var volatile = regexp.MustCompile(`(?:F \S+\.[ch] L \d+ )?\bR \w+ |pid: \d+ `)
