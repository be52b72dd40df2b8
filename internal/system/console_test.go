package system

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// consoleConfig makes app an operator, and lets its password be no secret of the router's surroundings.
const consoleConfig = `
[admin]
http = ""
users = ["app"]
[auth]
userlist = "userlist.txt"
[pool]
size = 4
hold_timeout = "60s"
[database.app]
mode = "transaction"
[cluster.main]
nodes = []
probe_user = "pgrouter"
probe_password_file = "probe-password.txt"
state_dir = ""
[[listener]]
address = ""
route = "primary"
[[listener]]
address = ""
route = "replica"
fallback = "primary"
`

// open connects as app, with more parameters of a URL.
func open(t *testing.T, c *testcluster.Cluster, address, database, more string) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), c.DSN(address, testcluster.AppUser, database)+more)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// table runs a command of the console and returns some of its columns.
func table(t *testing.T, conn *pgconn.PgConn, sql string, columns ...string) [][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var rows [][]string
	for _, cells := range results[0].Rows {
		var row []string
		for _, column := range columns {
			for i, f := range results[0].FieldDescriptions {
				if f.Name == column {
					row = append(row, string(cells[i]))
				}
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// cell returns the first that a command shows of a column, "" when it shows nothing: of a database that nobody uses at the moment.
func cell(t *testing.T, conn *pgconn.PgConn, sql, column string) string {
	t.Helper()
	for _, row := range table(t, conn, sql, column) {
		return row[0]
	}
	return ""
}

func TestPoolsAreAddedUpByDatabaseAndUserWhateverTheRoute(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Example(t, c, consoleConfig)
	clients := []*pgconn.PgConn{
		open(t, c, r.Write, "app", ""), open(t, c, r.Write, "app", ""), open(t, c, r.Read, "app", ""), open(t, c, r.Write, "app", "&options=-c%20ignore_system_indexes%3Doff"),
	}
	for _, conn := range clients[1:] {
		if _, err := query(conn, "select 1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := query(clients[0], "begin"); err != nil {
		t.Fatal(err)
	}
	console := open(t, c, r.Write, "pgbouncer", "")
	got := table(t, console, "SHOW POOLS", "cluster", "database", "user", "cl_active", "cl_waiting", "sv_active", "pool_mode")
	if diff := cmp.Diff([][]string{{"main", "app", "app", "4", "0", "1", "transaction"}}, got); diff != "" {
		t.Error(diff)
	}
	queues := table(t, console, "SHOW QUEUES", "route", "options", "active")
	want := [][]string{{"primary", "", "1"}, {"replica", "", "0"}, {"primary", "ignore_system_indexes", "0"}}
	if diff := cmp.Diff(want, queues); diff != "" {
		t.Error(diff)
	}
}

// TestTheConsoleShowsWhatClientsDo looks at a client in a transaction, and at what it has done.
func TestTheConsoleShowsWhatClientsDo(t *testing.T) {
	c := sharedCluster(t)
	r := testrouter.Example(t, c, consoleConfig)
	conn, console := open(t, c, r.Write, "app", "&application_name=billing"), open(t, c, r.Write, "pgbouncer", "")
	for _, sql := range []string{"select 1", "begin", "select 1"} {
		if _, err := query(conn, sql); err != nil {
			t.Fatal(err)
		}
	}
	pid, err := query(conn, "select pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	clients := table(t, console, "SHOW CLIENTS", "database", "state", "application_name", "ptr", "link")
	servers := table(t, console, "SHOW SERVERS", "database", "state", "application_name", "link", "ptr", "remote_pid")
	if len(clients) != 2 || len(servers) != 1 {
		t.Fatalf("clients %v, servers %v", clients, servers)
	}
	if diff := cmp.Diff(append(clients[0], pid), servers[0]); diff != "" || clients[0][1] != "active" {
		t.Errorf("a client and its server: %s", diff)
	}
	totals := table(t, console, "SHOW STATS_TOTALS", "database", "server_assignment_count", "xact_count", "query_count", "client_login_count")
	if diff := cmp.Diff([][]string{{"app", "2", "1", "4", "1"}}, totals); diff != "" {
		t.Errorf("a query and the first three of a block: %s", diff)
	}
	databases := table(t, console, "SHOW DATABASES", "name", "database", "pool_size", "pool_mode", "current_connections", "current_client_connections", "paused", "cluster")
	if diff := cmp.Diff([][]string{{"app", "app", "4", "transaction", "1", "1", "0", "main"}}, databases); diff != "" {
		t.Error(diff)
	}
	for _, row := range table(t, console, "SHOW CONFIG", "key", "value") {
		ours := strings.Contains(row[0], ".")
		switch {
		case row[0] == "default_pool_size" && row[1] != "4", !ours && row[1] == "" && row[0] != "stats_users":
			t.Errorf("PgBouncer's %s is %q", row[0], row[1])
		case strings.Contains(row[0], "password") && row[1] != "" && row[1] != "[redacted]":
			t.Errorf("%s is shown: %s", row[0], row[1])
		}
	}
	if users := table(t, console, "SHOW USERS", "name"); len(users) == 0 || users[0][0] != "app" {
		t.Errorf("SHOW USERS: %v", users)
	}
}

// pauseStage is a router with a client that is in a transaction, another that may come, and a console that looks on.
type pauseStage struct {
	t                  *testing.T
	cluster            *testcluster.Cluster
	router             *testrouter.Process
	busy, other, watch *pgconn.PgConn
}

func newPauseStage(t *testing.T) *pauseStage {
	t.Helper()
	c := sharedCluster(t)
	r := testrouter.Example(t, c, consoleConfig)
	p := &pauseStage{t: t, cluster: c, router: r}
	p.busy, p.other, p.watch = open(t, c, r.Write, "app", ""), open(t, c, r.Write, "app", ""), open(t, c, r.Write, "pgrouter", "")
	p.must(p.busy, "begin")
	p.must(p.other, "select 1")
	return p
}

func (p *pauseStage) must(conn *pgconn.PgConn, sql string) {
	p.t.Helper()
	if _, err := query(conn, sql); err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
}

// begin runs a statement that is going to wait.
func (p *pauseStage) begin(conn *pgconn.PgConn, sql string) chan error {
	done := make(chan error, 1)
	go func() {
		_, err := query(conn, sql)
		done <- err
	}()
	return done
}

// pause begins a PAUSE at a console of its own and waits until the door is closed.
func (p *pauseStage) pause(sql string) (*pgconn.PgConn, chan error) {
	p.t.Helper()
	console := open(p.t, p.cluster, p.router.Write, "pgrouter", "")
	done := p.begin(console, sql)
	p.router.Await("the door is closed", time.Minute, func() bool { return p.hold() == "paused" })
	return console, done
}

func (p *pauseStage) hold() string { return cell(p.t, p.watch, "SHOW QUEUES", "hold") }

func (p *pauseStage) consoles() int {
	count := 0
	for _, row := range table(p.t, p.watch, "SHOW CLIENTS", "database", "state") {
		if row[0] == "pgrouter" && row[1] == "active" {
			count++
		}
	}
	return count
}

func mustWait(t *testing.T, done chan error) {
	t.Helper()
	select {
	case err := <-done:
		t.Fatalf("it does not wait: %v", err)
	default:
	}
}

func TestPauseWaitsForRunningWorkAndLeavesNoConnection(t *testing.T) {
	p := newPauseStage(t)
	_, paused := p.pause("PAUSE app")
	late := p.begin(p.other, "select 1")
	p.router.Await("new work waits", time.Minute, func() bool { return cell(t, p.watch, "SHOW POOLS", "cl_waiting") == "1" })
	p.must(p.busy, "select 1") // running work goes on
	mustWait(t, paused)
	p.must(p.busy, "commit")
	if err := <-paused; err != nil {
		t.Fatalf("PAUSE: %v", err)
	}
	direct, err := p.cluster.Primary().Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(context.Background())
	p.router.Await("the servers have no connection", time.Minute, func() bool {
		n := -1
		err := direct.QueryRow(t.Context(), "select count(*) from pg_stat_activity where usename = 'app'").Scan(&n)
		return err == nil && n == 0
	})
	mustWait(t, late)
	p.must(p.watch, "RESUME app")
	if err := <-late; err != nil {
		t.Fatalf("after RESUME: %v", err)
	}
}

// TestAPauseAheadOfTheFirstClientHoldsAndSaysSo pauses a database of which the router knows nothing, and another by a wrong name.
func TestAPauseAheadOfTheFirstClientHoldsAndSaysSo(t *testing.T) {
	p := newPauseStage(t)
	config, err := pgconn.ParseConfig(p.cluster.DSN(p.router.Write, testcluster.AppUser, "pgrouter"))
	if err != nil {
		t.Fatal(err)
	}
	var notices []string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n.Message) }
	console, err := pgconn.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close(context.Background())
	p.must(console, "PAUSE postgres")
	if diff := cmp.Diff([]string{`no client has asked for database "postgres" yet`}, notices); diff != "" {
		t.Error(diff)
	}
	var pg *pgconn.PgError
	if _, err := query(console, "RESUME postgers"); !errors.As(err, &pg) || pg.Code != "42704" {
		t.Errorf("RESUME of a wrong name: %v", err)
	}
	entered := make(chan error, 1)
	go func() {
		conn, err := pgconn.Connect(t.Context(), p.cluster.DSN(p.router.Write, testcluster.AppUser, "postgres"))
		if err == nil {
			_, err = query(conn, "select 1")
			conn.Close(context.Background())
		}
		entered <- err
	}()
	p.router.Await("the first client waits", time.Minute, func() bool {
		for _, row := range table(t, p.watch, "SHOW QUEUES", "database", "hold", "waiting") {
			if row[0] == "postgres" && row[1] == "paused" && row[2] != "0" {
				return true
			}
		}
		return false
	})
	mustWait(t, entered)
	p.must(console, "RESUME postgres")
	if err := <-entered; err != nil {
		t.Errorf("the first client: %v", err)
	}
	p.must(console, "PAUSE postgres; RESUME postgres") // known by now
	if _, err := query(console, "RESUME app"); !errors.As(err, &pg) || pg.Code != "55000" || pg.Message != "database app is not paused" {
		t.Errorf("RESUME of what is not paused: %v", err)
	}
	if len(notices) != 1 {
		t.Errorf("notices: %q", notices)
	}
}

func TestAPauseThatIsCancelledIsUndone(t *testing.T) {
	p := newPauseStage(t)
	console, paused := p.pause("PAUSE")
	p.router.Await("the cancel is heard", time.Minute, func() bool {
		if err := console.CancelRequest(t.Context()); err != nil {
			t.Fatal(err)
		}
		return p.hold() == ""
	})
	var pg *pgconn.PgError
	if err := <-paused; !errors.As(err, &pg) || pg.Code != "57014" {
		t.Fatalf("the PAUSE: %v", err)
	}
	p.must(p.other, "select 1")
	p.must(console, "show version")
	p.must(p.busy, "commit")
}

func TestAPauseStaysWhenItsConsoleIsLost(t *testing.T) {
	p := newPauseStage(t)
	host, port, _ := strings.Cut(p.router.Write, ":")
	psql := exec.CommandContext(t.Context(), "psql", "-h", host, "-p", port, "-U", "app", "-AtX", "-c", "PAUSE app", "pgrouter")
	psql.Env = append(os.Environ(), "PGPASSWORD="+p.cluster.Role(testcluster.AppUser).Password)
	if err := psql.Start(); err != nil {
		t.Fatal(err)
	}
	p.router.Await("the door is closed", time.Minute, func() bool { return p.hold() == "paused" })
	if err := psql.Process.Kill(); err != nil { // drivers would send a cancel request
		t.Fatal(err)
	}
	if err := psql.Wait(); err == nil {
		t.Error("psql ended well")
	}
	p.router.Await("the console has ended", time.Minute, func() bool { return p.consoles() == 1 })
	if got := p.hold(); got != "paused" {
		t.Errorf("the hold is %q", got)
	}
	p.must(p.busy, "commit")
	p.must(p.watch, "resume")
	p.must(p.other, "select 1")
}

// TestPsqlAtTheConsole sends what people and scripts type, and interrupts a PAUSE as they do.
func TestPsqlAtTheConsole(t *testing.T) {
	c := sharedCluster(t)
	r := testrouter.Example(t, c, consoleConfig)
	host, port, _ := strings.Cut(r.Write, ":")
	run := func(user, input string) string {
		cmd := exec.CommandContext(t.Context(), "psql", "-h", host, "-p", port, "-U", user, "-AtX", "pgrouter")
		cmd.Env = append(os.Environ(), "PGPASSWORD="+c.Role(testcluster.AppUser).Password)
		cmd.Stdin = strings.NewReader(input)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	got := run("app", "set extra_float_digits = 3;\nbegin;\nshow server_encoding;\ncommit;\npause;\nresume;\n")
	if got != "SET\nBEGIN\nUTF8\nCOMMIT\nPAUSE\nRESUME\n" {
		t.Errorf("psql says %q", got)
	}
	if got := run("stranger", "show version;\n"); !strings.Contains(got, `password authentication failed for user "stranger"`) {
		t.Errorf("a stranger is told %q", got)
	}
}

// TestMetricsAreDocumentedAsTheyAreServed makes a router print every metric that it has, and compares docs/metrics.md with it.
func TestMetricsAreDocumentedAsTheyAreServed(t *testing.T) {
	ctx := t.Context()
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Example(t, c, strings.NewReplacer(
		"[auth]", "peers = [\""+testrouter.FreeAddress(t)+"\"]\n[auth]", // peer_up
		"fallback", "max_lag = \"64kB\"\nfallback",
	).Replace(consoleConfig))
	conn := open(t, c, r.Write, "app", "")
	pid, err := query(conn, "begin; select pg_backend_pid()")
	if err == nil {
		pid, err = query(conn, "select pg_backend_pid()")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Primary().Exec(ctx, "select pg_terminate_backend("+pid+")"); err != nil { // server_lost
		t.Fatal(err)
	}
	if _, err := pgconn.Connect(ctx, strings.Replace(c.DSN(r.Write, testcluster.AppUser, "app"), "//app:", "//stranger:", 1)); err == nil { // errors_sent
		t.Error("a stranger gets in")
	}
	r.Await("the lag is known", time.Minute, func() bool { _, known := r.Metrics()["pgrouter_node_lag_bytes"]; return known })
	fallBack(t, c, r)
	if _, err := query(open(t, c, r.Write, "pgrouter", ""), "PAUSE another; DISABLE another"); err != nil {
		t.Fatal(err)
	}
	served := metricTypes(t, r)
	maps.Copy(served, patroniMetricTypes(t, c))
	if err := c.Standbys()[0].StopFast(ctx); err != nil { // probe_failures
		t.Fatal(err)
	}
	r.Await("a probe fails", time.Minute, func() bool { return r.Metrics()["pgrouter_probe_failures_total"] > 0 })
	r.Await("the loss is counted", time.Minute, func() bool { return r.Metrics()["pgrouter_server_lost_total"] > 0 })
	maps.Copy(served, metricTypes(t, r))
	if diff := cmp.Diff(documentedTypes(t), served); diff != "" {
		t.Errorf("docs/metrics.md (-) and what is served (+):\n%s", diff)
	}
}

// patroniMetricTypes are those of a router that asks Patroni: without a DCS some metrics are not there.
func patroniMetricTypes(t *testing.T, c *testcluster.Cluster) map[string]string {
	t.Helper()
	found := "[cluster.main.patroni]\nurls = [\"" + startPatroni(t, c.Primary().Addr()).URL + "\"]\n"
	r := testrouter.Prepare(t, c, strings.Replace(patroniConfig, "MEMBERS\n", found, 1))
	r.Run()
	r.Await("Patroni is heard", time.Minute, func() bool { return r.Metrics()["pgrouter_cluster_dcs_up"] == 1 })
	return metricTypes(t, r)
}

// fallBack lets the standby lag, so that reads go to the primary.
func fallBack(t *testing.T, c *testcluster.Cluster, r *testrouter.Process) {
	t.Helper()
	if _, err := query(open(t, c, r.Read, "app", ""), "select 1"); err != nil {
		t.Fatal(err)
	}
	if err := c.Standbys()[0].Exec(t.Context(), "select pg_wal_replay_pause()"); err != nil {
		t.Fatal(err)
	}
	if err := c.Primary().Exec(t.Context(), "create table much as select generate_series(1, 20000)"); err != nil {
		t.Fatal(err)
	}
	r.Await("reads are at the primary", time.Minute, func() bool {
		now := r.Metrics()
		return now["pgrouter_pool_fallback"] == 1 && now["pgrouter_node_lagging"] == 1
	})
}

// metricTypes reads the types of the house's metrics off /metrics.
func metricTypes(t *testing.T, r *testrouter.Process) map[string]string {
	t.Helper()
	resp, err := http.Get("http://" + r.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	types := make(map[string]string)
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 4 && words[1] == "TYPE" && strings.HasPrefix(words[2], "pgrouter_") {
			types[words[2]] = words[3]
		}
	}
	return types
}

func documentedTypes(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	types := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.HasPrefix(cells[1], " `pgrouter_") {
			types[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
		}
	}
	return types
}

// TestAFailoverIsServedWhenTheFirstUnitHasEnded holds a slow statement through a failover: the report counts to its end, not to
// the moment at which it got a server.
func TestAFailoverIsServedWhenTheFirstUnitHasEnded(t *testing.T) {
	ctx := t.Context()
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Example(t, c, consoleConfig)
	conn := open(t, c, r.Write, "app", "")
	if _, err := query(conn, "select 1"); err != nil {
		t.Fatal(err)
	}
	old, next, began := c.Primary(), c.Standbys()[0], time.Now()
	if err := old.StopFast(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := query(conn, "select pg_sleep(2)")
		done <- err
	}()
	r.Await("it waits", time.Minute, func() bool { return r.Metrics()["pgrouter_pool_waiting"] >= 1 })
	if err := next.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var reports []failover.Report
	r.Await("there is a report", time.Minute, func() bool {
		resp, err := http.Get("http://" + r.Admin + "/api/v1/failovers")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return json.NewDecoder(resp.Body).Decode(&reports) == nil && len(reports) > 0
	})
	if took := reports[0].FirstServed.Sub(reports[0].Writable); took < 2*time.Second || took > time.Since(began) {
		t.Errorf("first served %s after the new primary was there: %+v", took, reports[0])
	}
}
