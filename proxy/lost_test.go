package proxy_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// outcome is what a client saw of the end of its connection.
func outcome(t *testing.T, err error) string {
	t.Helper()
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		t.Fatalf("no answer of PostgreSQL's kind: %v", err)
	}
	return pg.Severity + " " + pg.Code
}

// TestTheContractWhenAServerDies kills the primary, all of it, in the middle of something. A killed process says nothing: all
// that the client learns is the router's own.
func TestTheContractWhenAServerDies(t *testing.T) {
	r, c := ownRouter(t, testcluster.Options{}, func(r *router) { r.policy.Pool.Size = 20; r.policy.HoldTimeout = patience })
	ctx := context.Background()
	setup := r.connect(ctx, "")
	text(t, setup, "create table t(n int)")
	text(t, setup, "create procedure slow() language sql as 'select pg_sleep(30)'")
	cases := []struct {
		name, before, running, want string
	}{
		{"autocommit write", "", "insert into t select 1 from pg_sleep(30)", "FATAL 08007"},
		{"autocommit read on a writable node", "", "select pg_sleep(30)", "FATAL 08007"},
		{"several statements in one string", "", "select 1; select pg_sleep(30)", "FATAL 08007"},
		{"a call", "", "call slow()", "FATAL 08007"},
		{"a block", "", "do $$begin perform pg_sleep(30); end$$", "FATAL 08007"},
		{"a statement in a transaction", "begin; insert into t values (1)", "select pg_sleep(30)", "FATAL 57P01"},
		{"a statement that hides a commit in its string", "begin", "select pg_sleep(30); commit", "FATAL 08007"},
		{"a semicolon in quotes is no second statement", "begin", "select ';commit', pg_sleep(30)", "FATAL 57P01"},
		{"idle in a transaction", "begin; insert into t values (1)", "", "FATAL 57P01"},
		{"pinned and idle", "listen news", "", "FATAL 57P01"},
	}
	type result struct {
		i   int
		err error
	}
	results := make(chan result, len(cases))
	idle := r.connect(ctx, "")
	text(t, idle, "select 1")
	for i, tc := range cases {
		conn := r.connect(ctx, "")
		if tc.before != "" {
			text(t, conn, tc.before)
		}
		go func() {
			if tc.running == "" {
				results <- result{i, conn.WaitForNotification(ctx)}
				return
			}
			_, err := query(conn, tc.running)
			results <- result{i, err}
		}()
	}
	r.await("all are at it", func() bool { return r.count("active") == len(cases) })
	r.awaitServers(c, "select count(*) from pg_stat_activity where query ~ 'pg_sleep|slow' and state = 'active' and pid <> pg_backend_pid()", "8")
	c.Primary().Kill9()
	for range cases {
		got := <-results
		if seen := outcome(t, got.err); seen != cases[got.i].want {
			t.Errorf("%s: %s, want %s (%v)", cases[got.i].name, seen, cases[got.i].want, got.err)
		}
	}
	// the idle client keeps its connection: its next unit of work is held until there is a primary
	r.publish(c, nil)
	held := make(chan error, 1)
	go func() {
		got, err := query(idle, "select 'served'")
		if err == nil && got != "served" {
			err = errors.New(got)
		}
		held <- err
	}()
	r.await("one waits", func() bool { return r.count("waiting") == 1 })
	if err := c.Node(0).Start(ctx); err != nil {
		t.Fatal(err)
	}
	r.publish(c, c.Node(0))
	if err := <-held; err != nil {
		t.Fatalf("the held client: %v", err)
	}
}

// awaitServers waits until the primary itself answers as expected.
func (r *router) awaitServers(c *testcluster.Cluster, sql, want string) {
	r.t.Helper()
	conn, err := c.Primary().Connect(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	r.await(sql+" = "+want, func() bool {
		got, err := query(conn.PgConn(), sql)
		return err == nil && got == want
	})
}

func TestAnOrderlyTerminatedServerSpeaksForItself(t *testing.T) {
	r, c := newRouter(t, func(r *router) { r.policy.Pool.Size = 4 })
	conn := r.connect(context.Background(), "")
	text(t, conn, "begin")
	pid := text(t, conn, "select pg_backend_pid()")
	if err := c.Primary().Exec(context.Background(), "select pg_terminate_backend("+pid+")"); err != nil {
		t.Fatal(err)
	}
	err := conn.WaitForNotification(context.Background())
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "57P01" || !strings.Contains(pg.Message, "due to administrator command") {
		t.Fatalf("got %v", err)
	}
}

func TestAnIdleServerThatIsTerminatedIsNobodysConcern(t *testing.T) {
	r, c := newRouter(t, nil)
	conn := r.connect(context.Background(), "")
	for range 5 {
		pid := text(t, conn, "select pg_backend_pid()")
		if err := c.Primary().Exec(context.Background(), "select pg_terminate_backend("+pid+")"); err != nil {
			t.Fatal(err)
		}
		r.await("the server is gone", func() bool {
			for _, q := range r.pool.Stats() {
				for _, n := range q.Nodes {
					if n.Idle+n.Linked > 0 {
						return false
					}
				}
			}
			return true
		})
		if got := text(t, conn, "select 1"); got != "1" {
			t.Fatal(got)
		}
	}
}

func TestAReadOnAStandbyIsReplayedOnceElsewhere(t *testing.T) {
	r, c := newRouter(t, func(r *router) { r.policy.Pool.Size = 4 })
	r.address = r.listen(routing.Replica)
	conn := r.connect(context.Background(), "application_name=victim")
	standby := c.Standbys()[0]
	direct, err := standby.ConnectTo(context.Background(), "app")
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(context.Background())
	done := make(chan error, 1)
	go func() { // it sleeps until it is replayed
		got, err := query(conn, "select pg_sleep(600), 'late' where not exists (select 1 from pg_stat_activity where application_name = 'awake')")
		if err == nil && got != "" {
			err = errors.New(got)
		}
		done <- err
	}()
	const late = "from pg_stat_activity where query like '%late%' and pid <> pg_backend_pid() and wait_event = 'PgSleep'" // it has looked by then
	r.await("the read runs", func() bool {
		var runs bool
		err := direct.QueryRow(context.Background(), "select count(*) = 1 "+late).Scan(&runs)
		return err == nil && runs
	})
	if _, err := direct.Exec(context.Background(), "set application_name = 'awake'"); err != nil {
		t.Fatal(err)
	}
	if _, err := direct.Exec(context.Background(), "select pg_terminate_backend(pid) "+late); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatalf("the read was not replayed: %v", err)
	}
	if n := r.proxy.Totals().Replayed; n != 1 {
		t.Fatalf("%d replays", n)
	}
}

func TestAnotherProvenPrimaryCutsWhatHangsOnTheOldOne(t *testing.T) {
	r, c := ownRouter(t, testcluster.Options{Standbys: 1}, nil)
	conn := r.connect(context.Background(), "")
	text(t, conn, "begin")
	old := c.Primary()
	next := c.Standbys()[0]
	old.Stop() // frozen: TCP is alive, nobody answers
	defer old.Cont()
	if err := next.Promote(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.publish(c, next)
	if n := r.pool.Cut(cluster, topology.NodeID(old.Addr()), event.CutNodeGone); n == 0 {
		t.Fatal("nothing was cut")
	}
	if got := outcome(t, conn.WaitForNotification(context.Background())); got != "FATAL 57P01" {
		t.Fatal(got)
	}
	fresh := r.connect(context.Background(), "")
	if got := text(t, fresh, "select pg_is_in_recovery()"); got != "f" {
		t.Fatal(got)
	}
}

func TestWhatStrangersSendFirstIsAnsweredAsPostgreSQLDoes(t *testing.T) {
	r, _ := newRouter(t, nil)
	for name, packet := range map[string][]byte{
		"length 0":    {0, 0, 0, 0},
		"length 3":    {0, 0, 0, 3},
		"length 2^31": {0x80, 0, 0, 0},
		"garbage":     []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
	} {
		p := r.dial(t)
		p.send(packet)
		if n, err := p.conn.Read(make([]byte, 100)); err == nil && n == 100 {
			t.Errorf("%s: got an answer", name)
		}
	}
	cfg := proxy.Defaults()
	cfg.LoginTimeout = 300 * time.Millisecond
	if err := r.proxy.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	for name, packet := range map[string][]byte{"nothing": nil, "half a packet": {0, 0, 0, 30, 0, 3}} {
		p := r.dial(t)
		p.send(packet)
		if _, err := io.ReadAll(p.conn); err != nil { // the end of the connection, before the deadline of the test
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAUnitThatTwoServersDidNotTakeIsSentOnce: both have broken off when it comes, and the loop sees that only when it sends: what it
// holds for the first leaves when that has something to say, and what is sent instead before it looks at the second. What was
// kept of it for the second try is not kept twice for the third.
func TestAUnitThatTwoServersDidNotTakeIsSentOnce(t *testing.T) {
	s := &stage{router: &router{t: t, policy: defaultPolicy(), loops: 1}, trace: &wiretest.Trace{}, over: make(chan struct{})}
	t.Cleanup(s.strike)
	s.start()
	nodes, a, s1 := s.reads()
	b := s.joins("b")
	a.asks("select 1")
	s1.hears("Q")
	b.asks("select 2")
	t1 := nodes[1].opens()
	t1.hears("Q")
	t1.says(wiretest.Row("v", "2")...)
	b.hears("TDCZ")
	s1.says(wiretest.Row("v", "1")...)
	a.hears("TDCZ")
	s.joins("c").saysGoodbye() // the loop has waited since it heard s.1: epoll does not tell of that first, for its last answer's sake

	s.inOneTurn(func() {
		a.asks("select 'once'") // the loop looks at the client first
		t1.resets()
		s1.resets()
	})
	s.await("nobody has taken it", func() bool { return s.proxy.Totals().Requeued == 2 })
	s.publishes(nil) // the nodes are well: connections are opened again
	s2 := nodes[0].opens()
	s2.hears("Q")
	s2.hearsNoMore()
	s2.says(wiretest.Row("v", "once")...)
	a.hears("TDCZ")
	s.curtain()
}
