package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// patience bounds how long a test waits for what must come.
const patience = time.Minute

// testingLog lets a logger write to a test.
type testingLog struct{ t testing.TB }

func (l testingLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}

// stage is a pool on a real reactor in front of a scripted server.
type stage struct {
	*script
	t       *testing.T
	reactor *reactor.Reactor
	pool    *Pool
	queue   *Queue
	world   *world // makes pictures only
}

func newStage(t *testing.T, loops int, cfg Config) *stage {
	t.Helper()
	st := &stage{script: newScript(t), t: t, world: &world{t: t}}
	r, err := reactor.New(reactor.Config{Loops: loops, Logger: slog.New(slog.NewTextHandler(testingLog{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{Reactor: r, Dialer: st.script, Verify: true, Logger: slog.New(slog.NewTextHandler(testingLog{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	st.reactor, st.pool = r, p
	st.queue = p.Queue(Key{Cluster: testCluster, Route: routing.Primary, Database: "db", User: "u"}, routing.Rules{}, cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if n := p.Faults(); n != 0 {
			t.Errorf("%d faults", n)
		}
		for _, q := range p.Stats() {
			if q.Violations != 0 {
				t.Errorf("%d protocol violations", q.Violations)
			}
		}
	})
	st.publish(1)
	return st
}

// publish says that node a is primary in that life.
func (st *stage) publish(life int) {
	s := st.world.picture("a", topology.Incarnation(life), 1)
	st.world.snap = s
	st.pool.Publish(s)
}

// worker is a session that runs units of work, one after the other, on its loop.
type worker struct {
	queue  *Queue
	name   string
	left   int
	unit   int
	w      Waiter
	server *Server
	in     []byte
	done   func(*worker)
	losses atomic.Int32
	fault  error
	rest   bool // gives its server back dirty now and then
}

func (k *worker) Run(*reactor.Loop) { k.next() }

// next begins a unit of work, or ends the worker.
func (k *worker) next() {
	if k.left == 0 || k.fault != nil {
		k.done(k)
		return
	}
	s, err := k.queue.Acquire(&k.w)
	switch {
	case err != nil:
		k.fail(err)
	case s != nil:
		k.Granted(s)
	}
}

func (k *worker) fail(err error) {
	k.fault = err
	k.done(k)
}

func (k *worker) text() string { return fmt.Sprintf("%s %d", k.name, k.unit) }

func (k *worker) Granted(s *Server) {
	if s.Holder != nil || s.IO == nil || s.IO.Loop() != k.w.Loop {
		k.fail(errors.New("a server that is not free, or of another loop"))
		return
	}
	s.Holder, k.server, k.in = k, s, k.in[:0]
	k.unit++
	s.IO.SetHandler((*workerServer)(k))
	s.IO.Send(pgwire.AppendQuery(nil, k.text()))
}

func (k *worker) Refused(err error) { k.fail(err) }

func (k *worker) Cut(s *Server, _ event.CutReason) {
	if s == k.server {
		k.lost()
	}
}

// lost repeats the unit with another server.
func (k *worker) lost() {
	k.losses.Add(1)
	k.giveBack(Broken)
	k.w.Front = true
	k.next()
	k.w.Front = false
}

func (k *worker) giveBack(how Outcome) {
	s := k.server
	k.server = nil
	k.queue.Release(s, how)
}

type workerServer worker

func (h *workerServer) Received(_ *reactor.Conn, b []byte) {
	k := (*worker)(h)
	k.in = append(k.in, b...)
	f, ok, err := pgwire.PeekBackend(k.in)
	if err != nil {
		k.giveBack(Broken)
		k.fail(err)
		return
	}
	const readyLen = 6
	if !ok || len(k.in) < f.Len+readyLen {
		return
	}
	if got := string(f.Body(k.in)[:f.Len-pgwire.HeaderLen-1]); got != k.text() {
		k.giveBack(Broken)
		k.fail(fmt.Errorf("the answer to %q is %q", k.text(), got))
		return
	}
	how := Clean
	if k.rest && k.unit%7 == 0 {
		how = Dirty
	}
	k.left--
	k.giveBack(how)
	if !k.w.Loop.Post(k) {
		k.fail(errors.New("the loop is gone"))
	}
}

func (h *workerServer) Ended(*reactor.Conn)         { (*worker)(h).lost() }
func (h *workerServer) Failed(*reactor.Conn, error) { (*worker)(h).lost() }
func (h *workerServer) Blocked(*reactor.Conn)       {}
func (h *workerServer) Drained(*reactor.Conn)       {}

// crew starts n workers with so many units each, spread over the loops, and returns what waits for all of them.
func (st *stage) crew(n, units int, dirty bool) (wait func()) {
	var wg sync.WaitGroup
	all := make([]*worker, n)
	for i := range all {
		wg.Add(1)
		k := &worker{queue: st.queue, name: fmt.Sprintf("worker%d", i), left: units, rest: dirty, done: func(*worker) { wg.Done() }}
		loops := st.reactor.Loops()
		k.w = Waiter{Grantee: k, Loop: loops[i%len(loops)]}
		all[i] = k
		if !k.w.Loop.Post(k) {
			st.t.Fatal("the loop is gone")
		}
	}
	return func() {
		st.t.Helper()
		over := make(chan struct{})
		go func() { wg.Wait(); close(over) }()
		select {
		case <-over:
		case <-time.After(patience):
			st.t.Fatalf("workers are stuck: %+v", st.queue.Stats())
		}
		for _, k := range all {
			if k.fault != nil {
				st.t.Errorf("%s: %v", k.name, k.fault)
			}
		}
	}
}

func TestEverybodyIsServedOnRealLoops(t *testing.T) {
	for _, loops := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d loops", loops), func(t *testing.T) {
			cfg := Defaults()
			cfg.Size = 4
			st := newStage(t, loops, cfg)
			st.crew(20, 200, true)()
			got := st.queue.Stats()
			if got.Grants != 20*200 || got.Waiting != 0 {
				t.Errorf("%d grants, %d waiting", got.Grants, got.Waiting)
			}
			if n := got.Nodes[0]; n.Linked != 0 || n.Idle+n.Resetting == 0 || n.Idle+n.Resetting > cfg.Size {
				t.Errorf("afterwards: %+v", n)
			}
			if (got.Moves > 0) != (loops > 1) {
				t.Errorf("%d hand-overs between %d loops", got.Moves, loops)
			}
		})
	}
}

func TestEverybodyIsServedWhileEverythingBreaks(t *testing.T) {
	for _, loops := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d loops", loops), func(t *testing.T) {
			cfg := Defaults()
			cfg.Size, cfg.DialBackoffMin, cfg.DialBackoffMax = 3, time.Millisecond, 5*time.Millisecond
			st := newStage(t, loops, cfg)
			wait := st.crew(12, 300, true)
			ticker := time.NewTicker(3 * time.Millisecond)
			defer ticker.Stop()
			for i := range 60 {
				<-ticker.C
				switch i % 6 {
				case 0:
					st.killAll()
				case 1:
					st.publish(i + 2)
				case 2:
					st.pool.Hold(testCluster, event.HoldSwitchover)
				case 3:
					st.pool.Resume(testCluster)
				case 4:
					st.pool.Cut(testCluster, "a", event.CutNodeGone)
				case 5:
					st.refuse.Store(2)
				}
			}
			wait()
		})
	}
}

func TestFailedDialsAreRepeatedWhileSomebodyWaits(t *testing.T) {
	cfg := Defaults()
	cfg.DialBackoffMin, cfg.DialBackoffMax = time.Millisecond, 5*time.Millisecond
	st := newStage(t, 1, cfg)
	st.refuse.Store(5)
	st.crew(1, 1, false)()
	if got := st.queue.Stats(); got.DialsFailed != 5 || got.DialsOK != 1 {
		t.Errorf("%d dials failed, %d succeeded", got.DialsFailed, got.DialsOK)
	}
}

func TestAStuckServerIsCutAndItsUnitGoesElsewhere(t *testing.T) {
	cfg := Defaults()
	st := newStage(t, 1, cfg)
	st.crew(2, 1, false)()
	st.silent.Store(true)
	wait := st.crew(2, 1, false)
	for st.pool.Stats()[0].Nodes[0].Linked != 2 {
		select {
		case <-t.Context().Done():
			t.Fatal("nobody got a server")
		case <-time.After(time.Millisecond):
		}
	}
	st.pool.Hold(testCluster, event.HoldSwitchover)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	var busy *BusyError
	if err := st.pool.WaitIdle(ctx, testCluster, "a"); !errors.As(err, &busy) || busy.Left != 2 {
		t.Fatalf("WaitIdle while two are in use: %v", err)
	}
	if n := st.pool.Cut(testCluster, "a", event.CutDrainExpired); n != 2 {
		t.Errorf("Cut counts %d", n)
	}
	ctx, cancel = context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := st.pool.WaitIdle(ctx, testCluster, "a"); err != nil {
		t.Fatal(err)
	}
	st.silent.Store(false)
	st.publish(2)
	st.pool.Resume(testCluster)
	wait()
}

func TestClosingLeavesNoConnectionOpen(t *testing.T) {
	st := newStage(t, 2, Defaults())
	st.crew(6, 5, false)()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := st.pool.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := st.reactor.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(patience)
	for st.count() > 0 {
		select {
		case <-deadline:
			t.Fatalf("%d connections are open", st.count())
		case <-time.After(time.Millisecond):
		}
	}
}
