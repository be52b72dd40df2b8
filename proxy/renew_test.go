package proxy_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/routing"
)

// fatalFor runs a query of a client that is to be ended, now or behind it, and returns the SQLSTATE and DETAIL that it was told.
func fatalFor(conn *pgconn.PgConn) (code, detail string) {
	_, err := query(conn, "select 1")
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code, e.Detail
	}
	if err == nil { // it got the server of another who was ended before it; then its unit was its last
		return farewellTo(conn)
	}
	return "", err.Error()
}

// farewellTo waits for the FATAL of a client that asks nothing. One that asks may meet a closed socket, and with it lose what it has
// not read.
func farewellTo(conn *pgconn.PgConn) (code, detail string) {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	for {
		msg, err := conn.ReceiveMessage(ctx)
		if e, ok := msg.(*pgproto3.ErrorResponse); ok {
			return e.Code, e.Detail
		}
		if e, ok := errors.AsType[*pgconn.PgError](err); ok {
			return e.Code, e.Detail
		}
		if err != nil {
			return "", err.Error()
		}
	}
}

// fromNowOn gives all clients another policy. A limit that a test waits for begins here: what comes before, a login and its server, may
// take its time.
func (r *router) fromNowOn(change func(*proxy.Policy)) {
	policy := r.policy
	change(&policy)
	r.later.Store(&policy)
	r.proxy.Renew()
}

// inDatabase is what holds when the database of clients has another name on the servers.
func (r *router) inDatabase(name string) {
	r.fromNowOn(func(p *proxy.Policy) { p.ServerDatabase = name })
}

func TestAnotherDatabaseCountsFromTheNextUnitOfWorkOn(t *testing.T) {
	r, _ := newRouter(t, func(r *router) { r.policy.Pool.Size = 2; r.loops = 2 })
	ctx := context.Background()
	idle, busy, pinned, waits := r.connect(ctx, ""), r.connect(ctx, ""), r.connect(ctx, ""), r.connect(ctx, "")
	const where = "select current_database()"
	text(t, busy, "begin")
	text(t, pinned, "listen news")
	waited := make(chan string, 1)
	go func() {
		got, err := query(waits, where)
		waited <- got + errorText(err)
	}()
	r.await("one waits", func() bool { return r.waiting() == 1 })
	r.inDatabase("postgres")
	if got := text(t, idle, where); got != "postgres" {
		t.Errorf("who was idle is in %s", got)
	}
	if got := text(t, busy, where+"; commit; "+where); got != "app,app" {
		t.Errorf("in the middle of its work it is in %s", got)
	}
	if got := <-waited; got != "app" {
		t.Errorf("who waited is in %s", got)
	}
	for name, conn := range map[string]*pgconn.PgConn{"the busy one": busy, "who waited": waits} {
		if got := text(t, conn, where); got != "postgres" {
			t.Errorf("%s is in %s afterwards", name, got)
		}
	}
	if got := text(t, pinned, where); got != "app" {
		t.Errorf("who keeps its server is in %s", got)
	}
	r.inDatabase("")
	if got := text(t, idle, where); got != "app" {
		t.Errorf("and back: it is in %s", got)
	}
}

func errorText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestAnotherModeCountsFromTheNextServerOn(t *testing.T) {
	r, _ := newRouter(t, nil)
	free := r.connect(context.Background(), "")
	text(t, free, "select 1")
	r.fromNowOn(func(p *proxy.Policy) { p.Mode = proxy.ModeSession })
	text(t, free, "select 1")
	r.fromNowOn(func(p *proxy.Policy) { p.Mode, p.Pool.Size = proxy.ModeSession, 7 })
	r.await("its queue has another size", func() bool { return r.pool.Stats()[0].Size == 7 })
	if got := r.proxy.Clients()[0]; got.Mode != "session" || r.pool.Stats()[0].Nodes[0].Linked != 1 {
		t.Errorf("%+v", got)
	}
	r.later.Store(&r.policy)
	text(t, free, "begin")
	r.proxy.Renew()
	text(t, free, "select 1")
	if got := r.proxy.Clients()[0].Mode; got != "session" {
		t.Errorf("in the middle of a transaction its mode is %s", got)
	}
	text(t, free, "commit")
	if got := r.proxy.Clients()[0].Mode; got != "transaction" {
		t.Errorf("behind the transaction its mode is %s", got)
	}
	if got := r.pool.Stats()[0].Nodes[0].Linked; got != 1 {
		t.Errorf("a session that has a server of its own keeps it: %d in use", got)
	}
}

func TestWhoseUserOrDoorIsGoneEndsWithItsUnitAndNobodyElse(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(r *router)
		detail string
	}{
		{"the user", func(r *router) { gone := "app"; r.removed.Store(&gone) }, "Its user was removed."},
		{"the door", func(r *router) {
			if err := r.doors[0].Close(); err != nil {
				r.t.Error(err)
			}
		}, "Its listener was removed."},
		{"where the door leads", func(r *router) {
			r.doors[0].Change(proxy.ListenerConfig{Cluster: cluster, Route: routing.Replica})
		}, "Its listener leads elsewhere."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, c := newRouter(t, func(r *router) { r.policy.Pool.Size = 2; r.loops = 2 })
			ctx := context.Background()
			r.listen(routing.Replica)
			bystander, err := pgconn.Connect(ctx, c.DSN(r.doors[1].Address(), testcluster.AppUser, testcluster.DefaultDatabase))
			if err != nil {
				t.Fatal(err)
			}
			defer bystander.Close(ctx)
			idle, busy, pinned, waits := r.connect(ctx, ""), r.connect(ctx, ""), r.connect(ctx, ""), r.connect(ctx, "")
			text(t, busy, "begin; create temp table kept(n int)")
			text(t, pinned, "listen news")
			waited := make(chan string, 1)
			go func() {
				code, detail := fatalFor(waits)
				waited <- code + " " + detail
			}()
			r.await("one waits", func() bool { return r.waiting() == 1 })
			tc.change(r)
			r.proxy.Renew()
			want := "57P01 " + tc.detail
			if got := <-waited; got != want {
				t.Errorf("who waited was told %q", got)
			}
			for name, conn := range map[string]*pgconn.PgConn{"idle": idle, "pinned": pinned} {
				if code, detail := farewellTo(conn); code+" "+detail != want {
					t.Errorf("%s: %s %s", name, code, detail)
				}
			}
			if _, err := query(busy, "insert into kept values (1)"); err != nil {
				t.Errorf("in the middle of a transaction: %v", err)
			}
			if _, err := query(busy, "commit"); err != nil {
				t.Errorf("at its end: %v", err)
			}
			if code, detail := farewellTo(busy); code+" "+detail != want {
				t.Errorf("after it: %s %s", code, detail)
			}
			if _, err := query(bystander, "select 1"); (err != nil) != (r.removed.Load() != nil) {
				t.Errorf("at another door: %v", err)
			}
		})
	}
}

// TestALoginDoesNotWaitForWhatIsGone: somebody else has the only server, and keeps it.
func TestALoginDoesNotWaitForWhatIsGone(t *testing.T) {
	r, _ := newRouter(t, func(r *router) { r.policy.Pool.Size = 1 })
	busy := r.connect(context.Background(), "")
	text(t, busy, "begin")
	entered := make(chan error, 1)
	go func() { // with another DateStyle than anybody's, so that a server has to be asked
		_, err := pgconn.Connect(context.Background(), r.dsn("datestyle=German"))
		entered <- err
	}()
	r.await("the login waits", func() bool { return r.waiting() == 1 })
	r.proxy.Renew() // that changes nothing
	if err := r.doors[0].Close(); err != nil {
		t.Fatal(err)
	}
	r.proxy.Renew()
	if e, ok := errors.AsType[*pgconn.PgError](<-entered); !ok || e.Code+" "+e.Detail != "57P01 Its listener was removed." {
		t.Errorf("the login is told %v", e)
	}
	text(t, busy, "commit")
}

// TestWhoLogsInDuringARenewalGoesByWhatHoldsAfterwards: no login slips through between the old and the new.
func TestWhoLogsInDuringARenewalGoesByWhatHoldsAfterwards(t *testing.T) {
	r, _ := newRouter(t, func(r *router) { r.policy.Pool.Size = 4; r.loops = 2 })
	const clients, renewals = 8, 40
	for i := range renewals {
		name := [...]string{"postgres", "app"}[i%2]
		conns := make(chan *pgconn.PgConn, clients)
		var logins sync.WaitGroup
		for range clients {
			logins.Go(func() {
				conn, err := pgconn.Connect(context.Background(), r.dsn(""))
				if err != nil {
					t.Error(err)
					return
				}
				conns <- conn
			})
		}
		r.await("the first is in", func() bool { return len(conns) > 0 })
		r.inDatabase(name)
		logins.Wait()
		r.await("everybody is in "+name, func() bool {
			for _, c := range r.proxy.Clients() {
				if c.Kind == "client" && c.Pool.OnServer() != name {
					return false
				}
			}
			return true
		})
		close(conns)
		for conn := range conns {
			conn.Close(context.Background())
		}
	}
}
