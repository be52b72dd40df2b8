package oracle

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// The pool modes. Each has a database of that name on the server, so that no two share server connections.
const (
	session     = "session"
	transaction = "transaction"
	statement   = "statement"
)

var modes = []string{session, transaction, statement}

// The machine may be as slow as it likes: nothing is held because a probe is late, and nobody is refused who waits.
const config = `
[admin]
http = ""
users = ["app"]
[auth]
method = "trust"
[pool]
size = 2
hold_timeout = "60s"
login_hold_timeout = "60s"
[limits]
loops = 2
[database.session]
mode = "session"
[database.statement]
mode = "statement"
[cluster.main]
nodes = []
probe_user = "pgrouter"
probe_timeout = "60s"
probe_password_file = "probe-password.txt"
state_dir = ""
[[listener]]
address = ""
route = "primary"
`

// world is a server and a router in front of it.
type world struct {
	cluster *testcluster.Cluster
	direct  string // address of the server
	router  string // address of the router
	process *testrouter.Process
}

// newWorld starts both, with more databases of mode transaction. Nobody is asked for a password: that is other tests' affair.
func newWorld(t *testing.T, databases ...string) *world {
	t.Helper()
	c := clustertest.Start(t, testcluster.Options{HBA: []string{"host all app,boss,nobody 127.0.0.1/32 trust"}})
	node := c.Primary()
	const roles = "create role helper; grant helper to app; create role other; grant other to app; create role boss login superuser"
	if err := node.Exec(t.Context(), roles); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Concat(modes, databases) {
		if err := node.Exec(t.Context(), "create database "+name+" owner app"); err != nil {
			t.Fatal(err)
		}
		p := login(t, node.Addr(), name, nil)
		for _, sql := range tables {
			ask(t, p, sql)
		}
		leave(t, p)
	}
	r := testrouter.Example(t, c, config)
	return &world{cluster: c, direct: node.Addr(), router: r.Write, process: r}
}

// sound checks the counters that must stay 0.
func (w *world) sound(t *testing.T) {
	t.Helper()
	all := w.process.Metrics()
	for _, name := range []string{"pgrouter_server_messages_unexpected_total", "pgrouter_pool_faults_total"} {
		if n, ok := all[name]; n != 0 || !ok {
			t.Errorf("%s is %v, known: %v", name, n, ok)
		}
	}
}

// reconnect lets the router have no server that anybody has used.
func (w *world) reconnect(t testing.TB) {
	t.Helper()
	console := login(t, w.router, "pgrouter", nil)
	ask(t, console, "reconnect")
	leave(t, console)
}

// waitNotice is what the router tells a client that has waited for a server for 5 seconds. When it does is the machine's affair.
const waitNotice = ` < NoticeResponse NOTICE 00000 "no server is free, the statement waits for one…`

// same reports whether the router has answered as PostgreSQL did.
func same(direct, got *wiretest.Dialogue) bool { return got.Without(waitNotice).Same(direct) }

// startup is the packet that begins a session.
func startup(database string, more map[string]string) *pgproto3.StartupMessage {
	parameters := map[string]string{"user": "app", "database": database}
	maps.Copy(parameters, more)
	return &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: parameters}
}

// dial connects a client.
func dial(t testing.TB, address string) *wiretest.Peer {
	t.Helper()
	p, err := wiretest.Dial(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Conn.Close() })
	return p
}

// login connects a client and logs it in.
func login(t testing.TB, address, database string, more map[string]string) *wiretest.Peer {
	t.Helper()
	p, err := enter(address, database, more)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Conn.Close() })
	return p
}

// enter is login for any goroutine. The caller closes the connection.
func enter(address, database string, more map[string]string) (*wiretest.Peer, error) {
	p, err := wiretest.Dial(context.Background(), address)
	if err != nil {
		return nil, err
	}
	if err := p.Play(wiretest.Send(startup(database, more)), wiretest.Ready(1)); err != nil {
		p.Conn.Close()
		return nil, fmt.Errorf("login: %w", err)
	}
	return p, nil
}

// leave says good-bye, and waits until the other side has understood.
func leave(t testing.TB, p *wiretest.Peer) {
	t.Helper()
	if err := p.Play(wiretest.Send(&pgproto3.Terminate{})); err != nil {
		t.Fatal(err)
	}
	if err := p.ExpectEnd(); err != nil {
		t.Fatal(err)
	}
	p.Conn.Close() // not only at the test's end: thousands leave in one
}

// ask runs a query and returns its rows, by the names of their columns.
func ask(t testing.TB, p *wiretest.Peer, sql string) []map[string]string {
	t.Helper()
	if err := p.Query(sql); err != nil {
		t.Fatal(err)
	}
	all, err := p.Until('Z')
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var rows []map[string]string
	for _, m := range all {
		switch v := m.Value.(type) {
		case *pgproto3.RowDescription:
			names = nil
			for _, f := range v.Fields {
				names = append(names, string(f.Name))
			}
		case *pgproto3.DataRow:
			row := map[string]string{}
			for i, value := range v.Values {
				row[names[i]] = string(value)
			}
			rows = append(rows, row)
		case *pgproto3.ErrorResponse:
			t.Fatalf("%s: %s", sql, m.Text)
		}
	}
	return rows
}

// tables are what scripts find in each database.
var tables = []string{
	"create table sink(s text)",
	"grant all on sink to public", // thieves may have come under another role
	"create table t(n int primary key, s text)",
	"grant all on sink, t to other",
	"create function shout(text) returns int language plpgsql as $$begin raise notice '%', $1; raise warning 'more of %', $1; return 1; end$$",
	"create function hide(text) returns int language plpgsql as $$begin execute $1; return 1; end$$",
	"create sequence numbers",
}

// fill makes a database what a script expects, on a direct connection.
func fill(t testing.TB, p *wiretest.Peer) {
	t.Helper()
	ask(t, p, "delete from t; insert into t values (1, 'one'), (2, 'two'); drop table if exists shape")
}
