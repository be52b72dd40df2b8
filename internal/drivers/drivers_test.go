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

// Two copies of a program and two strangers have so many servers: a program that pools has five connections, and each keeps its server
// once it has prepared a statement by name.
const (
	servers   = 12
	strangers = 2
)

// program is what plays the scenarios of a driver.
type program struct {
	name    string
	command []string
	allowed []difference
}

// difference is a line that is not the same through the router, and why. One that is the same fails the test.
type difference struct {
	why, scenario  string
	direct, router string // the line, both ways
}

// programs are all that there are. Each is told a word for the names of what it makes.
func programs() []program {
	return []program{
		{name: "node-postgres", command: []string{"node", "testdata/node.js"}},
		{name: "psycopg", command: []string{"/usr/bin/python3", "testdata/psycopg_scenarios.py"}},
		{name: "asyncpg", command: []string{"/usr/bin/python3", "testdata/asyncpg_scenarios.py"}},
		{name: "JDBC", command: []string{"java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", "/usr/share/java/postgresql.jar", "testdata/Jdbc.java"}},
		{name: "DBD::Pg", command: []string{"perl", "testdata/dbd.pl"}},
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
			for i := range copies {
				if d := cmp.Diff(strings.Split(p.expected(t, direct[i]), "\n"), strings.Split(shared[i], "\n")); d != "" {
					t.Errorf("(- PostgreSQL, + router):\n%s", d)
				}
			}
		})
	}
}

// expected is what the program should print through the router: what it has printed directly, but for the differences that are allowed.
func (p *program) expected(t *testing.T, direct string) string {
	t.Helper()
	for _, d := range p.allowed {
		before, after, ok := strings.Cut(direct, "== "+d.scenario+"\n")
		if !ok || !strings.Contains(after, d.direct+"\n") {
			t.Errorf("%s: %q is not printed directly: %s", d.scenario, d.direct, d.why)
			continue
		}
		direct = before + "== " + d.scenario + "\n" + strings.Replace(after, d.direct+"\n", d.router+"\n", 1)
	}
	return direct
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
	out, err := cmd.CombinedOutput()
	if err = errors.Join(err, context.Cause(ctx)); err != nil {
		t.Errorf("%s, at %s: %v\n%s", p.name, address, err, out)
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
