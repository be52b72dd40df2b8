package system

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// reloadConfig makes app an operator. What tests change stands on lines of its own.
const reloadConfig = `
[admin]
http = ""
users = ["app"]
[auth]
userlist = "userlist.txt"
[pool]
size = 2
hold_timeout = "60s"
[limits]
loops = 1
[database.alias]
dbname = "app"
[database.own]
dbname = "postgres"
mode = "session"
[cluster.main]
nodes = []
probe_user = "pgrouter"
probe_password_file = "probe-password.txt"
state_dir = ""
[[listener]]
address = ""
cluster = "main"
route = "primary"
[[listener]]
address = ""
cluster = "main"
route = "replica"
fallback = "primary"
`

// reloading is a router whose configuration changes under its clients.
type reloading struct {
	*testrouter.Process
	t       *testing.T
	c       *testcluster.Cluster
	console *pgconn.PgConn
	notices []string
}

// startReloading runs a router in front of a primary and a standby.
func startReloading(t *testing.T, config string, more ...testcluster.Role) *reloading {
	t.Helper()
	c := clustertest.Start(t, testcluster.Options{Standbys: 1, Roles: more})
	r := &reloading{Process: testrouter.Example(t, c, config), t: t, c: c}
	cfg, err := pgconn.ParseConfig(c.DSN(r.Write, testcluster.AppUser, "pgrouter"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { r.notices = append(r.notices, n.Message) }
	if r.console, err = pgconn.ConnectConfig(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.console.Close(context.Background()) })
	return r
}

// reload runs RELOAD and returns what it told.
func (r *reloading) reload() (notices []string, err error) {
	r.notices = nil
	_, err = query(r.console, "RELOAD")
	return r.notices, err
}

// change replaces a text of the configuration and reloads.
func (r *reloading) change(from, to string) (notices []string, err error) {
	r.t.Helper()
	r.Rewrite("pgrouter.toml", func(text string) string {
		if !strings.Contains(text, from) {
			r.t.Fatalf("the configuration has no %q", from)
		}
		return strings.Replace(text, from, to, 1)
	})
	return r.reload()
}

// must changes, and compares what it is told.
func (r *reloading) must(from, to string, want ...string) {
	r.t.Helper()
	notices, err := r.change(from, to)
	if err != nil {
		r.t.Fatalf("%q to %q: %v", from, to, err)
	}
	if diff := cmp.Diff(want, notices); diff != "" {
		r.t.Errorf("%q to %q: %s", from, to, diff)
	}
}

// mustFail changes, sees that nothing came of it, and changes back.
func (r *reloading) mustFail(from, to string, want ...string) {
	r.t.Helper()
	_, err := r.change(from, to)
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || e.Code != "F0000" || e.Hint == "" {
		r.t.Fatalf("%q to %q: %v", from, to, err)
	}
	for _, w := range want {
		if !strings.Contains(e.Detail, w) {
			r.t.Errorf("%q is not told in %q", w, e.Detail)
		}
	}
	if got := r.Metrics()["pgrouter_config_last_reload_success"]; got != 0 {
		r.t.Errorf("the last reload's success is %v", got)
	}
	r.must(to, from)
	if got := r.Metrics()["pgrouter_config_last_reload_success"]; got != 1 {
		r.t.Errorf("after the repair its success is %v", got)
	}
}

// endsWith queries a client that a reload ends.
func (r *reloading) endsWith(conn *pgconn.PgConn, detail string) {
	r.t.Helper()
	_, err := query(conn, "select 1")
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "57P01" || e.Detail != detail {
		r.t.Errorf("it ended with %v, not because: %s", err, detail)
	}
}

func (r *reloading) get(conn *pgconn.PgConn, sql, want string) {
	r.t.Helper()
	if got, err := query(conn, sql); err != nil || got != want {
		r.t.Errorf("%s: %q, %v; want %q", sql, got, err, want)
	}
}

// TestAReloadDropsNobodyWhomItDoesNotConcern: an idle client, one in a transaction, one that waits and one with a server of its own live
// through everything that is changed around them, and through what has faults.
func TestAReloadDropsNobodyWhomItDoesNotConcern(t *testing.T) {
	r := startReloading(t, reloadConfig)
	idle, session := open(t, r.c, r.Write, "app", ""), open(t, r.c, r.Write, "own", "")
	busy := []*pgconn.PgConn{open(t, r.c, r.Write, "app", ""), open(t, r.c, r.Write, "app", "")}
	r.get(session, "set application_name = 'mine'; select 'mine'", "")
	for _, conn := range busy {
		r.get(conn, "begin", "")
	}
	waits := open(t, r.c, r.Read, "app", "")
	t.Run("faults", r.faults)
	t.Run("listeners", r.listeners)
	t.Run("databases", r.databases)
	t.Run("users", r.users)
	t.Run("nodes", r.nodes)
	t.Run("clusters", r.clusters)
	r.get(waits, "select pg_is_in_recovery()", "t")

	waiting := open(t, r.c, r.Write, "app", "&application_name=w")
	served := make(chan error, 1)
	go func() {
		_, err := query(waiting, "select 1")
		served <- err
	}()
	r.Await("one waits", time.Minute, func() bool { return r.Metrics()["pgrouter_pool_waiting"] >= 1 })
	r.mustFail("size = 2", "size = 0", "pgrouter.toml:")
	r.must("size = 2", "size = 3", "pool.size: 2 → 3")
	if err := <-served; err != nil {
		t.Errorf("who waited: %v", err)
	}
	r.must("loops = 1", "loops = 2", "limits.loops: 1 → 2")
	r.must("size = 3", "size = 4", "pool.size: 3 → 4", "limits.loops: 1 → 2")
	if got := r.Metrics()["pgrouter_config_restart_pending"]; got != 1 {
		t.Errorf("%v changes wait for a restart", got)
	}
	for _, conn := range busy {
		r.get(conn, "commit; select 'done'", "")
	}
	r.get(idle, "select current_database()", "app")
	r.get(session, "show application_name", "mine")
}

func (r *reloading) faults(t *testing.T) {
	r.mustFail("[limits]", "[limits]\nlopps = 3", "pgrouter.toml:11: limits.lopps: ", "did you mean loops?")
	r.mustFail("users = [\"app\"]", "users = \"app", "pgrouter.toml:", "is not valid TOML")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := testrouter.FreeAddress(t)
	r.mustFail("[cluster.main]", listenerAt(free)+listenerAt(taken.Addr().String())+"[cluster.main]", "address already in use", "listener[1].address")
	if conn, err := net.Dial("tcp", free); err == nil {
		conn.Close()
		t.Error("the other new listener was opened all the same")
	}
	r.Rewrite("userlist.txt", func(text string) string { return text + "\"half\" \"open\n" })
	_, err = r.reload()
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || !strings.Contains(e.Detail, "userlist.txt:2: ") || strings.Contains(e.Detail, "open") {
		t.Errorf("a broken userlist: %v %+v", err, e)
	}
	r.Rewrite("userlist.txt", func(text string) string { return strings.TrimSuffix(text, "\"half\" \"open\n") })
	if notices, err := r.reload(); err != nil || len(notices) > 0 {
		t.Errorf("after its repair: %v, %v", notices, err)
	}
}

func listenerAt(address string) string { return listenerOf("main", address) }

func listenerOf(cluster, address string) string {
	return fmt.Sprintf("[[listener]]\naddress = %q\ncluster = %q\nroute = \"primary\"\n", address, cluster)
}

// secondCluster is one of the same primary, called west, and its listener.
func (r *reloading) secondCluster(address string) string {
	const text = "[cluster.west]\nnodes = [%q]\nprobe_user = \"pgrouter\"\nprobe_password_file = \"probe-password.txt\"\n"
	return fmt.Sprintf(text, r.c.Primary().Addr()) + listenerOf("west", address)
}

func (r *reloading) listeners(t *testing.T) {
	address := testrouter.FreeAddress(t)
	table := "listener[" + address + "]"
	r.must("[cluster.main]", listenerAt(address)+"[cluster.main]", table+": added")
	former := open(t, r.c, address, "app", "&options=-c%20ignore_system_indexes%3Doff")
	r.get(former, "select pg_is_in_recovery()", "f")
	old := fmt.Sprintf("%q\ncluster = \"main\"\nroute = \"primary\"", address)
	r.must(old, strings.Replace(old, "primary", "replica", 1), table+`.route: "primary" → "replica"`)
	r.endsWith(former, "Its listener leads elsewhere.")
	later := open(t, r.c, address, "app", "")
	r.get(later, "select pg_is_in_recovery()", "t")
	r.must(strings.Replace(listenerAt(address), "primary", "replica", 1), "", table+": removed")
	r.endsWith(later, "Its listener was removed.")
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

func (r *reloading) databases(t *testing.T) {
	const where = "select current_database()"
	alias := open(t, r.c, r.Read, "alias", "")
	r.get(alias, where, "app")
	r.must("[database.alias]\ndbname = \"app\"", "[database.alias]\ndbname = \"postgres\"", `database.alias.dbname: "app" → "postgres"`)
	r.get(alias, where, "postgres")
	r.must("[database.alias]\ndbname = \"postgres\"\n", "", "database.alias: removed")
	if _, err := query(alias, where); err == nil { // a database that only has that name here
		t.Error("there is a database alias")
	}
	r.must("[database.own]", "[database.alias]\ndbname = \"app\"\n[database.own]", "database.alias: added")
}

func (r *reloading) users(t *testing.T) {
	if err := r.c.Primary().Exec(t.Context(), "create role second login password 'one'"); err != nil {
		t.Fatal(err)
	}
	login := func(password string) (*pgconn.PgConn, error) {
		return pgconn.Connect(t.Context(), fmt.Sprintf("postgres://second:%s@%s/postgres", password, r.Write))
	}
	reload := func(from, to, want string) {
		t.Helper()
		r.Rewrite("userlist.txt", func(text string) string { return strings.Replace(text, from, to, 1) })
		notices, err := r.reload()
		if diff := cmp.Diff([]string{want}, notices); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	if _, err := login("one"); err == nil {
		t.Error("it is known already")
	}
	reload(`"app"`, "\"second\" \"one\"\n\"app\"", "users: added: second")
	conn, err := login("one")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	r.get(conn, "select current_user", "second")
	reload(`"second" "one"`, `"second" "two"`, "users: another secret: second")
	r.get(conn, "select current_user", "second")
	if _, err := login("one"); err == nil {
		t.Error("the old password is good")
	}
	reload("\"second\" \"two\"\n", "", "users: removed: second")
	r.endsWith(conn, "Its user was removed.")
}

func (r *reloading) nodes(t *testing.T) {
	var addresses []string
	for _, n := range r.c.Nodes() {
		addresses = append(addresses, strconv.Quote(n.Addr()))
	}
	shown := func() [][]string { return table(t, r.console, "SHOW NODES", "node", "role", "epoch") }
	before := shown()
	all, turned := strings.Join(addresses, ", "), addresses[1]+", "+addresses[0]
	r.must("nodes = ["+all+"]", "nodes = ["+turned+"]", "cluster.main.nodes: ["+all+"] → ["+turned+"]")
	if diff := cmp.Diff(before, shown()); diff != "" {
		t.Errorf("another order: %s", diff)
	}
	r.must("nodes = ["+turned+"]", "nodes = ["+addresses[0]+"]", "cluster.main.nodes: ["+turned+"] → ["+addresses[0]+"]")
	r.Await("one node is left", time.Minute, func() bool { return len(shown()) == 1 })
	if got := shown(); got[0][1] != "primary" || got[0][2] != before[0][2] {
		t.Errorf("without the standby: %v", got)
	}
	r.must("nodes = ["+addresses[0]+"]", "nodes = ["+all+"]", "cluster.main.nodes: ["+addresses[0]+"] → ["+all+"]")
	r.Await("both are known", time.Minute, func() bool { return cmp.Equal(before, shown()) })
}

// clusters adds a second cluster, takes it away and brings it back.
func (r *reloading) clusters(t *testing.T) {
	address := testrouter.FreeAddress(t)
	west := r.secondCluster(address)
	described := func() (n int) {
		for _, row := range table(t, r.console, "SHOW NODES", "cluster") {
			if row[0] == "west" {
				n++
			}
		}
		return n
	}
	for range 2 {
		r.must("[[listener]]", west+"[[listener]]", "cluster.west: added", "listener["+address+"]: added")
		conn := open(t, r.c, address, "app", "")
		r.get(conn, "select pg_is_in_recovery()", "f")
		if _, err := query(conn, "begin; select 1"); err != nil || described() != 1 {
			t.Errorf("%v, %d nodes", err, described())
		}
		r.must(west, "", "cluster.west: removed", "listener["+address+"]: removed")
		if described() != 0 {
			t.Error("its nodes are shown still")
		}
		if _, err := query(conn, "commit"); err != nil {
			t.Errorf("at the end of a transaction: %v", err)
		}
		r.endsWith(conn, "Its listener was removed.")
	}
}
