package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// realStage is a pool in front of a real PostgreSQL.
type realStage struct {
	t       *testing.T
	cluster *testcluster.Cluster
	secret  auth.Secret
	reactor *reactor.Reactor
	pool    *Pool
	queue   *Queue
	trouble atomic.Int32
}

func (st *realStage) NodeTrouble(topology.ClusterID, topology.NodeID, error) { st.trouble.Add(1) }

func (st *realStage) Dial(ctx context.Context, t backend.Target, k Key) (*backend.Conn, error) {
	return backend.Dial(ctx, backend.Defaults(), t, backend.Login{User: k.User, Database: k.OnServer(), Secret: st.secret})
}

func newRealStage(t *testing.T) *realStage {
	t.Helper()
	if testing.Short() {
		t.Skip("starts PostgreSQL")
	}
	c := clustertest.Start(t, testcluster.Options{})
	st := &realStage{t: t, cluster: c, secret: auth.PlainSecret(c.Role(testcluster.AppUser).Password)}
	r, err := reactor.New(reactor.Config{Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{Reactor: r, Dialer: st, Signals: st, Verify: true})
	if err != nil {
		t.Fatal(err)
	}
	st.reactor, st.pool = r, p
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(p.Close(ctx), r.Close()); err != nil {
			t.Error(err)
		}
		for _, q := range p.Stats() {
			if q.Violations != 0 || p.Faults() != 0 {
				t.Errorf("%d protocol violations, %d faults", q.Violations, p.Faults())
			}
		}
	})
	addr := c.Primary().Addr()
	p.Publish(&topology.Snapshot{
		Cluster: testCluster, Phase: topology.PhaseSteady, Epoch: 1, Primary: "n1", LastPrimary: "n1", Seq: 1,
		Nodes: []topology.Node{{ID: "n1", Address: addr, Role: topology.RolePrimary, Health: topology.HealthUp, Incarnation: 1, LagKnown: true}},
	})
	cfg := Defaults()
	cfg.Size = 1
	st.queue = p.Queue(Key{Cluster: testCluster, Route: routing.Primary, Database: testcluster.DefaultDatabase, User: testcluster.AppUser}, routing.Rules{}, cfg)
	return st
}

// asker is a session driven from the test's goroutine.
type asker struct {
	st     *realStage
	queue  *Queue
	loop   *reactor.Loop
	w      Waiter
	server *Server
	in     []byte
	news   chan error
}

func (st *realStage) newAsker(loop int) *asker {
	a := &asker{st: st, queue: st.queue, loop: st.reactor.Loops()[loop], news: make(chan error, 1)}
	a.w = Waiter{Grantee: a, Loop: a.loop}
	return a
}

// do runs f on the loop and waits for what comes of it.
func (a *asker) do(f func()) error {
	a.loop.Post(reactor.TaskFunc(func(*reactor.Loop) { f() }))
	return a.wait()
}

func (a *asker) wait() error {
	select {
	case err := <-a.news:
		return err
	case <-time.After(patience):
		return errors.New("nothing happens")
	}
}

func (a *asker) acquire() error {
	return a.do(func() {
		s, err := a.queue.Acquire(&a.w)
		switch {
		case err != nil:
			a.news <- err
		case s != nil:
			a.Granted(s)
		}
	})
}

func (a *asker) Granted(s *Server) {
	a.server, s.Holder = s, a
	s.IO.SetHandler((*askerServer)(a))
	a.news <- nil
}

func (a *asker) Refused(err error)            { a.news <- err }
func (a *asker) Cut(*Server, event.CutReason) {}

// ask runs a query and returns the answer's messages as one string.
func (a *asker) ask(sql string) (string, error) {
	err := a.do(func() { a.send(sql) })
	return string(a.in), err
}

func (a *asker) send(sql string) {
	a.in = a.in[:0]
	a.server.IO.Send(pgwire.AppendQuery(nil, sql))
}

func (a *asker) release(how Outcome) {
	_ = a.do(func() {
		s := a.server
		a.server = nil
		a.queue.Release(s, how)
		a.news <- nil
	})
}

type askerServer asker

func (h *askerServer) Received(_ *reactor.Conn, b []byte) {
	a := (*asker)(h)
	a.in = append(a.in, b...)
	for rest := a.in; ; {
		f, ok, err := pgwire.PeekBackend(rest)
		switch {
		case err != nil:
			a.news <- err
			return
		case !ok || f.Len > len(rest):
			return
		case f.Kind == pgwire.KindReadyForQuery && f.Len == len(rest):
			a.news <- nil
			return
		}
		rest = rest[f.Len:]
	}
}

func (h *askerServer) Ended(*reactor.Conn)             { h.news <- errServerEnded }
func (h *askerServer) Failed(_ *reactor.Conn, e error) { h.news <- e }
func (h *askerServer) Blocked(*reactor.Conn)           {}
func (h *askerServer) Drained(*reactor.Conn)           {}

func TestRealPostgreSQL(t *testing.T) {
	st := newRealStage(t)
	t.Run("a reset leaves nothing of the former holder", st.tryReset)
	t.Run("a cancel never hits the next holder", st.tryCancel)
	t.Run("a terminated idle server is replaced", st.tryTerminate)
	t.Run("a server with another configuration than at its login is closed", st.tryReload)
	t.Run("an unknown database refuses its clients", st.tryUnknown)
}

func (st *realStage) tryReset(t *testing.T) {
	a, b := st.newAsker(0), st.newAsker(1)
	if err := a.acquire(); err != nil {
		t.Fatal(err)
	}
	first := a.server
	for _, sql := range []string{
		"SET timezone TO 'Pacific/Chatham'", "SET work_mem TO '77MB'", "PREPARE p AS SELECT 1", "CREATE TEMP TABLE t(i int)", "LISTEN x",
		"SELECT pg_advisory_lock(7)",
	} {
		if got, err := a.ask(sql); err != nil || strings.Contains(got, "ERROR") {
			t.Fatalf("%s: %v %q", sql, err, got)
		}
	}
	a.release(Dirty)
	if err := b.acquire(); err != nil {
		t.Fatal(err)
	}
	if b.server != first || first.Vector != nil {
		t.Errorf("another server, or its parameters are thought to be known")
	}
	const left = `SELECT current_setting('timezone'), current_setting('work_mem'), (SELECT count(*) FROM pg_prepared_statements),
		to_regclass('pg_temp.t') IS NULL, (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')`
	got, err := b.ask(left)
	if err != nil || strings.Contains(got, "Chatham") || strings.Contains(got, "77MB") || strings.Contains(got, "ERROR") ||
		!strings.Contains(got, "\x00\x00\x00\x010\x00\x00\x00\x01t\x00\x00\x00\x010\x00\x00\x00\x010") {
		t.Errorf("left over: %v %q", err, got)
	}
	b.release(Clean)
}

func (st *realStage) tryCancel(t *testing.T) {
	a, b := st.newAsker(0), st.newAsker(0)
	for i := range 30 {
		if err := a.acquire(); err != nil {
			t.Fatal(err)
		}
		began := make(chan bool, 1)
		a.loop.Post(reactor.TaskFunc(func(*reactor.Loop) {
			a.send(fmt.Sprintf("SELECT pg_sleep(%d)", 10*(i%2))) // every second one is over before the cancel comes
			began <- a.server.BeginCancel()
		}))
		if !<-began {
			t.Fatal("a running query cannot be cancelled")
		}
		s := a.server
		cancelled := make(chan error, 1)
		go func() {
			cancelled <- backend.Cancel(t.Context(), backend.Defaults(), s.Conn.Target.Address, s.Conn.PID, s.Conn.Key)
			s.EndCancel()
		}()
		if err := a.wait(); err != nil {
			t.Fatal(err)
		}
		a.release(Clean)
		if err := b.acquire(); err != nil {
			t.Fatal(err)
		}
		if got, err := b.ask("SELECT pg_sleep(0.02)"); err != nil || strings.Contains(got, pgwire.CodeQueryCanceled) {
			t.Fatalf("round %d: the next holder: %v %q", i, err, got)
		}
		if b.server != s {
			t.Error("the cancelled server was not used again")
		}
		b.release(Clean)
		if err := <-cancelled; err != nil {
			t.Fatal(err)
		}
	}
}

// until waits for something that a server's message brings about.
func (st *realStage) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("%s: never; %+v", what, st.queue.Stats())
		case <-time.After(time.Millisecond):
		}
	}
}

func (st *realStage) idleServer(t *testing.T) (pid uint32) {
	t.Helper()
	a := st.newAsker(0)
	if err := a.acquire(); err != nil {
		t.Fatal(err)
	}
	pid = a.server.Conn.PID
	a.release(Clean)
	return pid
}

func (st *realStage) sql(t *testing.T, sql string, args ...any) {
	t.Helper()
	c, err := st.cluster.Primary().Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Exec(t.Context(), sql, args...)
	if err = errors.Join(err, c.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func (st *realStage) tryTerminate(t *testing.T) {
	pid, before := st.idleServer(t), st.trouble.Load()
	st.sql(t, "SELECT pg_terminate_backend($1)", pid)
	st.until(t, "the idle server goes", func() bool { return st.queue.Stats().Nodes[0].Idle == 0 })
	st.until(t, "discovery is told", func() bool { return st.trouble.Load() > before })
	if next := st.idleServer(t); next == pid {
		t.Error("the dead server was handed out")
	}
}

// tryReload: PostgreSQL takes over a changed configuration with the next command, here the reset, and reports it then.
func (st *realStage) tryReload(t *testing.T) {
	a := st.newAsker(1)
	if err := a.acquire(); err != nil {
		t.Fatal(err)
	}
	pid := a.server.Conn.PID
	if err := st.cluster.Primary().Configure(map[string]string{"timezone": "Pacific/Chatham"}); err != nil {
		t.Fatal(err)
	}
	st.until(t, "the setting is in force", func() bool {
		got, err := a.ask("SELECT 'zone ' || setting FROM pg_settings WHERE name = 'TimeZone'")
		return err == nil && strings.Contains(got, "zone Pacific/Chatham")
	})
	if _, err := a.ask("SET timezone TO 'UTC'"); err != nil {
		t.Fatal(err)
	}
	a.release(Dirty)
	if err := a.acquire(); err != nil {
		t.Fatal(err)
	}
	if zone, _ := a.server.Conn.Param("TimeZone"); a.server.Conn.PID == pid || zone != "Pacific/Chatham" {
		t.Errorf("the same server, or its zone is %q", zone)
	}
	if n := st.queue.Stats().Closed[closedParameter].Count; n != 1 {
		t.Errorf("%d closed because of a parameter", n)
	}
	a.release(Clean)
}

func (st *realStage) tryUnknown(t *testing.T) {
	key := st.queue.Key()
	key.Database = "nowhere"
	a := st.newAsker(0)
	a.queue = st.pool.Queue(key, routing.Rules{}, Defaults())
	var refused *backend.DialError
	if err := a.acquire(); !errors.As(err, &refused) || refused.Code() != pgwire.CodeUnknownDatabase {
		t.Errorf("got %v", err)
	}
}
