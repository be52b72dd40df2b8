//go:build suites

package suites

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// folderVariable names the folder that scripts/setup-suites has made.
const folderVariable = "PGROUTER_SUITES"

// suite returns a path in the folder of the suites.
func suite(t *testing.T, elements ...string) string {
	t.Helper()
	folder := os.Getenv(folderVariable)
	if folder == "" {
		folder = "/opt/pgrouter-suites"
	}
	path := filepath.Join(append([]string{folder}, elements...)...)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run scripts/setup-suites", err)
	}
	return path
}

// way is how a suite reaches PostgreSQL.
type way struct {
	name    string // of the router's pool mode, or "directly"
	address string
}

// env are the variables by which libpq goes this way.
func (w way) env() []string {
	host, port, _ := strings.Cut(w.address, ":")
	return []string{"PGHOST=" + host, "PGPORT=" + port, "PGUSER=" + testcluster.AppUser, "PGSSLMODE=disable"}
}

// url is where a Go driver goes this way.
func (w way) url(user, database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", user, w.address, database)
}

// startCluster runs a PostgreSQL that lets everybody in and whose user of the application may do everything, as the suites want it.
func startCluster(t *testing.T) *testcluster.Cluster {
	t.Helper()
	return clustertest.Start(t, testcluster.Options{
		Roles: []testcluster.Role{{Name: testcluster.AppUser, Options: "SUPERUSER"}},
		HBA:   []string{"host all all 127.0.0.1/32 trust"},
		Conf:  map[string]string{"max_prepared_transactions": "10"},
	})
}

// prepare executes statements as the superuser, past the router.
func prepare(t *testing.T, c *testcluster.Cluster, statements ...string) {
	t.Helper()
	prepareIn(t, c, testcluster.DefaultDatabase, statements...)
}

// prepareIn does so in a database.
func prepareIn(t *testing.T, c *testcluster.Cluster, database string, statements ...string) {
	t.Helper()
	conn, err := c.Primary().ConnectTo(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// direct is the way without a router.
func direct(_ *testing.T, c *testcluster.Cluster, name string) way {
	return way{name, c.Primary().Addr()}
}

// through runs a router that pools in a mode, which is the way's name.
func through(t *testing.T, c *testcluster.Cluster, mode string) way {
	t.Helper()
	return throughSet(t, c, mode, "")
}

// throughSet does so with one more setting of the pool.
func throughSet(t *testing.T, c *testcluster.Cluster, mode, setting string) way {
	t.Helper()
	r := testrouter.Example(t, c, fmt.Sprintf(`
[auth]
method = "trust"
[pool]
mode = %q
%s
[cluster.main]
nodes = []
probe_user = "pgrouter"
probe_password_file = "probe-password.txt"
state_dir = ""
[[listener]]
address = ""
route = "primary"
`, mode, setting))
	return way{mode, r.Write}
}

// run runs a program to its end, for as long as limit at most, and returns what it printed. All that it has started ends with it.
func run(t *testing.T, limit time.Duration, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("it did not end within %v", limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return string(out), err
}

// version is that of the PostgreSQL that the tests run, without what stands behind the point.
func version(t *testing.T) int {
	t.Helper()
	binaries, err := testcluster.FindBinaries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := run(t, time.Minute, nil, filepath.Join(binaries, "postgres"), "--version")
	var major int
	if _, scanErr := fmt.Sscanf(out, "postgres (PostgreSQL) %d", &major); errors.Join(err, scanErr) != nil {
		t.Fatalf("%v\n%s", errors.Join(err, scanErr), out)
	}
	return major
}

// figure is a line of the table in docs/suites.md: how many tests of a suite there are, how many pass directly, how many through a router in a
// mode, and how many are listed as exceptions there.
type figure struct {
	suite, mode                      string
	tests, directly, through, listed int
}

// print prints the line, with the version of PostgreSQL.
func (f figure) print(t *testing.T) {
	t.Helper()
	t.Logf("figures: | %s | %d | %s | %d | %d | %d | %d |", f.suite, version(t), f.mode, f.tests, f.directly, f.through, f.listed)
}

// compared is the figure of two runs.
func compared(suite, mode string, want, got outcome) figure {
	return figure{suite: suite, mode: mode, tests: len(want.passed) + len(want.failed), directly: len(want.passed), through: len(got.passed)}
}

// with adds the exceptions.
func (f figure) with(t *testing.T, exceptions []exception) figure {
	t.Helper()
	f.listed = count(listed(exceptions, version(t)))
	return f
}

// difference says how a text differs from what is wanted; it is empty when they are the same.
func difference(want, got string) string {
	return cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n"))
}
