//go:build drivers

package drivers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// programLimit is for one program; on an idle machine it takes some seconds.
const programLimit = 5 * time.Minute

// Two copies of a program and two strangers share so many servers. A program has two connections at the most of which one may keep its
// server.
const (
	servers   = 3
	strangers = 2
)

// program is what plays the scenarios of a driver.
type program struct {
	name       string
	command    []string
	exceptions []exception
}

// exception are scenarios that do not end alike through the router, and why. Where they do, it fails the test.
type exception struct {
	why       string // one sentence; "fault: " in front of what ought to be repaired
	chance    bool   // whether they do hangs on which server a transaction gets
	scenarios []string
}

// changedResult is what a driver sees that asks for the look of its rows each time.
const changedResult = "A statement whose rows look different now is parsed anew and answered, because the client asks what they look like: " +
	"PostgreSQL says 0A000."

// scenarioMark stands before the name of each scenario in what a program prints.
const scenarioMark = "== "

// programs are all that there are. Each is told a word for the names of what it makes.
func programs() []program {
	return []program{
		{
			name: "node-postgres", command: []string{"node", "testdata/node.js"},
			exceptions: []exception{{why: changedResult, chance: true, scenarios: []string{"aResultThatChanges"}}},
		},
		{
			name: "psycopg", command: []string{"/usr/bin/python3", "testdata/psycopg_scenarios.py"},
			exceptions: []exception{
				{why: changedResult, scenarios: []string{"changed_result"}},
				{
					why:    "The number that a sequence gave last is the server process's: currval is refused with 55000 when a stranger was there.",
					chance: true, scenarios: []string{"sequences"},
				},
			},
		},
		{name: "asyncpg", command: []string{"/usr/bin/python3", "testdata/asyncpg_scenarios.py"}},
		{
			// Two machines of Java that begin together look at each other's performance data, and may print a warning about that.
			name: "JDBC", command: []string{"java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", "/usr/share/java/postgresql.jar", "testdata/Jdbc.java"},
		},
		{
			name: "DBD::Pg", command: []string{"perl", "testdata/dbd.pl"},
			exceptions: []exception{
				{
					why:    "Clients share what is prepared, and pg_prepared_statements shows all that is on this server.",
					chance: true, scenarios: []string{"prepared at once"},
				},
			},
		},
		{name: "PDO", command: []string{"php", "testdata/pdo.php"}},
	}
}

// TestDriversSeeNoDifference lets two copies of each program share the router's servers. They prepare other statements by the same names.
func TestDriversSeeNoDifference(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{
		Roles: []testcluster.Role{{Name: testcluster.AppUser, Options: "SUPERUSER"}}, // to cancel others, and make temporary objects anywhere
		HBA:   []string{"host all all 127.0.0.1/32 trust"},
	})
	r := testrouter.Start(t, c, testrouter.Options{Login: "trust", Size: servers})
	testrouter.Crowd(t, fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", testcluster.AppUser, r.Write, testcluster.DefaultDatabase), strangers)
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			const copies = 2
			var direct, shared [copies]string
			var all sync.WaitGroup
			for i := range copies {
				word := string(rune('a' + i)) // of the same length: it is part of what is counted
				direct[i] = p.play(t, c.Primary().Addr(), word)
				all.Go(func() { shared[i] = p.play(t, r.Write, word) })
			}
			all.Wait()
			differing := make(map[string]bool)
			for i := range copies {
				p.compare(t, direct[i], shared[i], differing)
			}
			p.figures(t, c, strings.Count(direct[0], scenarioMark), len(differing))
			for _, e := range p.exceptions {
				for _, name := range e.scenarios {
					if !e.chance && !differing[name] {
						t.Errorf("%s ends alike: its exception is not needed", name)
					}
				}
			}
		})
	}
}

// compare compares what was printed scenario by scenario, and notes which differ.
func (p *program) compare(t *testing.T, direct, shared string, differing map[string]bool) {
	t.Helper()
	want, got := strings.Split(direct, scenarioMark), strings.Split(shared, scenarioMark)
	if len(want) != len(got) {
		t.Errorf("%d scenarios directly, %d through the router:\n%s", len(want), len(got), shared)
		return
	}
	for i := range want {
		name, _, _ := strings.Cut(want[i], "\n")
		if want[i] == got[i] {
			continue
		}
		differing[name] = true
		if d := cmp.Diff(strings.Split(want[i], "\n"), strings.Split(got[i], "\n")); p.excepts(name) {
			t.Logf("%s, excepted (- PostgreSQL, + router):\n%s", name, d)
		} else {
			t.Errorf("%s (- PostgreSQL, + router):\n%s", name, d)
		}
	}
}

// figures prints the program's line of the table in docs/suites.md.
func (p *program) figures(t *testing.T, c *testcluster.Cluster, all, differing int) {
	t.Helper()
	conn, err := c.Primary().Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	listed := 0
	for _, e := range p.exceptions {
		listed += len(e.scenarios)
	}
	version, _, _ := strings.Cut(conn.PgConn().ParameterStatus("server_version"), ".")
	t.Logf("figures: | %s | %s | transaction | %d | %d | %d | %d |", p.name, version, all, all, all-differing, listed)
}

// excepts reports whether a scenario need not end alike.
func (p *program) excepts(scenario string) bool {
	return slices.ContainsFunc(p.exceptions, func(e exception) bool { return slices.Contains(e.scenarios, scenario) })
}

// play runs the program to its end, and returns what it printed.
func (p *program) play(t *testing.T, address, word string) string {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), programLimit, fmt.Errorf("it did not end within %v", programLimit))
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Error(err)
		return ""
	}
	cmd := exec.CommandContext(ctx, p.command[0], append(p.command[1:], word)...)
	cmd.Env = append(os.Environ(), "PGHOST="+host, "PGPORT="+port, "PGUSER="+testcluster.AppUser, "PGDATABASE="+testcluster.DefaultDatabase,
		"PGSSLMODE=disable", "NODE_PATH="+filepath.Join(folder(), "node_modules"), "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var complaints strings.Builder // a driver's: they come or not, as it likes
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err = errors.Join(err, context.Cause(ctx)); err != nil {
		t.Errorf("%s, at %s: %v\n%s%s", p.name, address, err, out, &complaints)
	}
	return string(out)
}

// folder is where scripts/setup-drivers has put what is no package of the system's.
func folder() string {
	if named := os.Getenv("PGROUTER_DRIVERS"); named != "" {
		return named
	}
	return "/opt/pgrouter-drivers"
}
