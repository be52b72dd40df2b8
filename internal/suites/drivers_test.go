//go:build suites

package suites

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// driverLimit is for one run of a driver's tests; on an idle machine the longest takes a minute.
const driverLimit = 10 * time.Minute

// The tests of a driver that run side by side, the servers that they share, and the strangers that use these too.
const (
	driverTests     = 12
	driverServers   = 10
	driverStrangers = 2
)

// driver are the tests of one package of a driver of Go's, of the version that our own go.mod names.
type driver struct {
	name           string
	module, folder string // the package is in that folder of the module
	user, database string // both are made
	setup          []string
	skip           string // a pattern: tests that need what is not set up here, as TLS, roles, names of hosts
	exceptions     []exception
	program        string // the compiled tests
}

// strangeNumber is why a client that ends another by the process number of its cancel key does not find it.
const strangeNumber = "The process number that a login is told outlasts every server, so it is the router's: pg_terminate_backend does not find it."

// pgx is what its packages want, as its testsetup/postgresql_setup.sql has it.
func pgx(name, folder string, exceptions []exception) driver {
	return driver{
		name: name, module: "github.com/jackc/pgx/v5", folder: folder, user: "pgx", database: "pgx_test",
		setup: []string{
			"CREATE EXTENSION hstore", "CREATE EXTENSION ltree", "CREATE DOMAIN uint64 AS numeric(20,0)",
			`CREATE ROLE " tricky, ' } "" \ test user " SUPERUSER LOGIN`,
		},
		exceptions: exceptions,
	}
}

// TestPgxPassesAsItDoesDirectly runs pgx's own tests of its connections.
func TestPgxPassesAsItDoesDirectly(t *testing.T) {
	pgx("pgx", ".", []exception{
		{why: strangeNumber, tests: []string{"TestFatalRxError", "TestFatalTxError"}},
		{
			why: "Clients share what is prepared, under names of the router's, and pg_prepared_statements shows these.",
			tests: []string{
				"TestPrepareHandlesTimeoutBetweenParseAndDescribe", "TestPrepareWithDigestedNameHandlesTimeoutBetweenParseAndDescribe",
			},
		},
	}).compare(t)
}

// TestPgconnPassesAsItDoesDirectly runs pgx's own tests of the layer below.
func TestPgconnPassesAsItDoesDirectly(t *testing.T) {
	pgx("pgconn", "pgconn", []exception{
		{why: strangeNumber, tests: []string{"TestConnCheckConn", "TestConnPing"}},
		{why: "The router speaks protocol 3.2 also where PostgreSQL does not yet: its cancel keys are long.", before: 18, tests: []string{"TestConnectProtocolVersion32"}},
	}).compare(t)
}

// TestLibPQsOwnTestsPassAsTheyDoDirectly runs those of lib/pq.
func TestLibPQsOwnTestsPassAsTheyDoDirectly(t *testing.T) {
	driver{
		name: "lib/pq", module: "github.com/lib/pq", folder: ".", user: "pqgo", database: "pqgo",
		setup: []string{"ALTER DATABASE pqgo SET timezone TO 'UTC'"},
		skip:  "^(TestSSL|TestAuth$|Example_openConfig$|ExampleNewConnector$|ExampleRegisterTLSConfig$)",
		exceptions: []exception{{
			why:   "The server process that it ends serves a transaction of its own no more: the client need not notice.",
			tests: []string{"TestPing"},
		}},
	}.compare(t)
}

// compare runs the tests directly and in transaction mode, each time on a PostgreSQL of its own.
func (d driver) compare(t *testing.T) {
	t.Helper()
	d.build(t)
	shared := func(t *testing.T, c *testcluster.Cluster, mode string) way {
		t.Helper()
		w := throughSet(t, c, mode, fmt.Sprintf("size = %d", driverServers))
		testrouter.Crowd(t, w.url(d.user, d.database), driverStrangers)
		return w
	}
	want := d.directly(t)
	judge(t, d.exceptions, func(bool) []string {
		got := d.run(t, "transaction", shared)
		compared(d.name, "transaction", want, got).with(t, d.exceptions).print(t)
		return worse(t, want, got)
	})
}

// directly runs the tests without a router, where each of them must pass in one of two runs.
func (d *driver) directly(t *testing.T) outcome {
	t.Helper()
	o := d.run(t, "directly", direct)
	if len(o.failed) == 0 {
		return o
	}
	t.Logf("REPEATED, because directly it does not pass: %s", strings.Join(o.failed, " "))
	again := d.run(t, "directly", direct)
	for _, name := range again.failed {
		if !slices.Contains(o.passed, name) {
			t.Errorf("%s fails directly, twice:\n%s", name, again.printed[name])
		}
	}
	o.passed = append(o.passed, again.passed...)
	slices.Sort(o.passed)
	return outcome{passed: slices.Compact(o.passed)}
}

// build compiles the tests where the module lies, because they read files there.
func (d *driver) build(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", d.module).Output()
	if err != nil {
		t.Fatal(err)
	}
	d.folder = filepath.Join(strings.TrimSpace(string(out)), d.folder)
	d.program = filepath.Join(t.TempDir(), "driver.test")
	built, err := run(t, driverLimit, nil, "env", "-C", d.folder, "go", "test", "-c", "-o", d.program, ".")
	if err != nil {
		t.Fatalf("%v\n%s", err, built)
	}
}

// run runs the tests one way, on a PostgreSQL of its own.
func (d *driver) run(t *testing.T, name string, reach func(t *testing.T, c *testcluster.Cluster, name string) way) (o outcome) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		c := startCluster(t)
		prepare(t, c, fmt.Sprintf("CREATE ROLE %s SUPERUSER LOGIN", d.user), fmt.Sprintf("CREATE DATABASE %s OWNER %s", d.database, d.user))
		prepareIn(t, c, d.database, d.setup...)
		w := reach(t, c, name)
		url := w.url(d.user, d.database)
		env := append(w.env(), "TZ=UTC", "PGHOST=localhost", "PGUSER="+d.user, "PGDATABASE="+d.database, "PGX_TEST_DATABASE="+url, "PGX_TEST_TCP_CONN_STRING="+url)
		began := time.Now()
		out, err := run(t, driverLimit, env, "env", "-C", d.folder, "go", "tool", "test2json", d.program,
			"-test.v=test2json", "-test.skip="+cmp.Or(d.skip, "^$"),
			fmt.Sprint("-test.parallel=", driverTests), fmt.Sprint("-test.timeout=", driverLimit))
		if o = tested(t, out); err != nil && len(o.failed) == 0 {
			t.Errorf("%v\n%s", err, out)
		}
		t.Logf("%s, %s: %d of %d passed in %v; failed: %s", d.folder, w.name, len(o.passed), len(o.passed)+len(o.failed),
			time.Since(began).Round(time.Second), strings.Join(o.failed, " "))
	})
	return o
}

// tested reads what test2json has printed. Tests within tests count with the whole; those that were skipped do not count; those that
// never ended have failed.
func tested(t *testing.T, out string) (o outcome) {
	t.Helper()
	o.printed = make(map[string]string)
	running := make(map[string]bool)
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		var event struct{ Action, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Logf("not of test2json: %s", lines.Text())
			continue
		}
		name, _, within := strings.Cut(event.Test, "/")
		switch {
		case name == "":
		case event.Action == "output":
			o.printed[name] += event.Output
		case within:
		case event.Action == "run":
			running[name] = true
		case event.Action == "pass":
			o.passed = append(o.passed, name)
			delete(running, name)
		case event.Action == "fail":
			o.failed = append(o.failed, name)
			delete(running, name)
		case event.Action == "skip":
			delete(running, name)
		}
	}
	o.failed = append(o.failed, slices.Sorted(maps.Keys(running))...)
	return o
}
