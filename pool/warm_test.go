package pool

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// lifetimes is a picture in which postmasters tell when they were started.
func lifetimes(s *topology.Snapshot, started int64) *topology.Snapshot {
	for i := range s.Nodes {
		s.Nodes[i].StartedAt = time.Unix(started, 0)
	}
	return s
}

// warmed is a world with two connections to a, whose door is closed, and two more to b that were opened ahead.
func warmed(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, routing.Primary, 2, Defaults())
	w.publish(lifetimes(w.picture("a", 1, 1), 1))
	c := []*client{w.newClient(0), w.newClient(1)}
	c[0].acquire()
	c[1].acquire()
	w.dialAll()
	if n := w.pool.Warm(testCluster, "b", 9); n != 0 {
		t.Fatalf("%d connections to a standby although the door is open", n)
	}
	w.held = true
	w.pool.Hold(testCluster, event.HoldSwitchover)
	c[0].release(Clean)
	c[1].release(Clean)
	if n := w.pool.Warm(testCluster, "b", 9); n != 2 || len(w.dials) != 2 || w.dials[0].target.WantPrimary {
		t.Fatalf("%d connections to the candidate, %d dials", n, len(w.dials))
	}
	if n := w.pool.Warm(testCluster, "b", 9); n != 0 {
		t.Fatalf("%d connections more", n)
	}
	return w
}

// connOf is what a dial opens.
func connOf(d *dial) *backend.Conn { return &backend.Conn{Target: d.target} }

// arrive lets what was opened ahead become connections to a standby.
func (w *world) arrive() {
	for len(w.dials) > 0 {
		d := w.takeDial(0)
		if d == nil {
			w.t.Fatalf("the candidate is not wanted")
		}
		conn := connOf(d)
		conn.HotStandby, conn.Params = true, []pgwire.Param{{Name: "TimeZone", Value: "UTC"}, {Name: hotStandbyParam, Value: "on"}}
		w.born[conn] = w.begun[d]
		d.queue.dialed(d, conn)
		w.pool.wg.Done()
	}
	w.runTasks()
}

func TestConnectionsToTheCandidateServeWhenItIsPrimary(t *testing.T) {
	w := warmed(t)
	w.arrive()
	if n := w.node("b").Idle; n != 2 {
		t.Fatalf("%d connections to b", n)
	}
	w.publish(lifetimes(w.picture("", 1, 1), 1))
	waiter := w.newClient(0)
	waiter.acquire()
	w.publish(lifetimes(w.picture("b", 1, 2), 1)) // promoted
	w.held = false
	w.pool.Resume(testCluster)
	w.runTasks()
	s := waiter.server
	if s == nil || s.Node() != "b" || len(w.dials) != 0 {
		t.Fatalf("the waiter has %v, %d dials", s, len(w.dials))
	}
	if s.Incarnation() != 2 || !s.Conn.Target.WantPrimary || s.Conn.HotStandby || s.Conn.Params[1].Value != "off" || s.Conn.Params[0].Value != "UTC" {
		t.Errorf("%+v", s.Conn)
	}
	w.publish(lifetimes(w.picture("b", 1, 3), 2)) // an ordinary connection from now on
	waiter.release(Clean)
	w.runTasks()
	if n := w.node("b").Idle; n != 0 {
		t.Errorf("%d connections of a former life", n)
	}
}

func TestConnectionsToTheCandidateThatArriveLateServeToo(t *testing.T) {
	w := warmed(t)
	d := w.takeDial(0)
	w.publish(lifetimes(w.picture("b", 1, 2), 1))
	conn := connOf(d)
	conn.HotStandby = true
	w.born[conn] = w.begun[d]
	d.queue.dialed(d, conn)
	w.pool.wg.Done()
	w.runTasks()
	if w.takeDial(0) != nil {
		t.Error("one that has not begun is opened for the standby that b was")
	}
	if n := w.node("b").Idle; n != 1 {
		t.Errorf("%d connections to b", n)
	}
	w.held = false
	w.pool.Resume(testCluster)
	waiter := w.newClient(0)
	waiter.acquire()
	if waiter.server == nil || waiter.server.Conn.HotStandby {
		t.Errorf("the waiter has %v", waiter.server)
	}
}

func TestConnectionsToACandidateThatIsNotPrimaryAreClosed(t *testing.T) {
	for name, act := range map[string]func(w *world){
		"nothing has come of it":    func(w *world) { w.held = false; w.pool.Resume(testCluster) },
		"its postmaster is another": func(w *world) { w.publish(lifetimes(w.picture("a", 1, 2), 2)) },
		"restarted and promoted":    func(w *world) { w.publish(lifetimes(w.picture("b", 1, 2), 2)) },
		"it left the cluster": func(w *world) {
			s := lifetimes(w.picture("a", 1, 1), 1)
			s.Nodes = s.Nodes[:1]
			w.publish(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := warmed(t)
			w.arrive()
			act(w)
			w.runTasks()
			if n := w.node("b").Idle; n != 0 {
				t.Errorf("%d connections to b are kept", n)
			}
		})
	}
}

func TestWhatIsNotBegunWhenTheDoorOpensIsNotOpened(t *testing.T) {
	w := warmed(t)
	w.held = false
	w.pool.Resume(testCluster)
	for len(w.dials) > 0 {
		if w.takeDial(0) != nil {
			t.Error("the candidate is connected to although nobody waits for it")
		}
	}
}

func TestWhoKeepsAServerAtRestIsNotWaitedFor(t *testing.T) {
	w := newWorld(t, routing.Primary, 1, Defaults())
	w.publish(w.picture("a", 1, 1))
	works, rests := w.newClient(0), w.newClient(0)
	works.acquire()
	rests.acquire()
	w.dialAll()
	now, cancel := context.WithCancel(t.Context())
	cancel()
	left := func() int {
		busy, is := errors.AsType[*BusyError](w.pool.WaitQuiet(now, testCluster, "a"))
		if !is {
			return 0
		}
		return busy.Left
	}
	rests.server.Rest()
	if n := left(); n != 1 {
		t.Errorf("%d are waited for, want 1", n)
	}
	quiet := make(chan error, 1)
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { quiet <- w.pool.WaitQuiet(soon, testCluster, "a") }()
	for w.pool.drained.waiting.Load() == nil || len(*w.pool.drained.waiting.Load()) == 0 {
		<-time.After(time.Millisecond)
	}
	works.release(Clean)
	if err := <-quiet; err != nil {
		t.Error(err)
	}
	if err := w.pool.WaitIdle(now, testCluster, "a"); err == nil {
		t.Error("idle, although somebody keeps a server")
	}
	rests.server.Work()
	if n := left(); n != 1 {
		t.Errorf("%d are waited for when it works again, want 1", n)
	}
	rests.server.Rest()
	rests.release(Clean)
	again := w.newClient(0)
	again.acquire()
	if n := left(); n != 1 {
		t.Errorf("%d are waited for when another works there, want 1", n)
	}
}
