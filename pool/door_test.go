package pool

import (
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// TestAnIdleServerIsNotHandedOutWhileTheDoorIsClosed: it may be the right one again, but not now (I4).
func TestAnIdleServerIsNotHandedOutWhileTheDoorIsClosed(t *testing.T) {
	for why, shut := range map[event.HoldReason]func(*world){
		event.HoldSwitchover: func(w *world) { w.held = true; w.pool.Hold(testCluster, event.HoldSwitchover) },
		event.HoldNoPrimary:  func(w *world) { w.publish(w.picture("", 1, 1)) },
	} {
		t.Run(why.String(), func(t *testing.T) {
			w, c := opened(t, 1, 1, 2)
			c[0].acquire()
			w.dialAll()
			s := c[0].server
			c[0].release(Clean)
			shut(w)
			c[1].acquire()
			w.runTasks()
			if c[1].server != nil || w.reason(c[1]) != why || w.node("a").Idle != 1 {
				t.Fatalf("server %v, reason %s, %+v", c[1].server, w.reason(c[1]), w.node("a"))
			}
			w.held = false
			w.pool.Resume(testCluster)
			w.publish(w.picture("a", 1, 1))
			w.runTasks()
			if c[1].server != s {
				t.Error("it is not handed out afterwards")
			}
		})
	}
}

// replicas makes a world with the standbys a and b, a connection to each, and two clients that have them: the first has a's.
func replicas(t *testing.T, n int) (*world, []*client) {
	t.Helper()
	cfg := Defaults()
	cfg.Size = 1
	w := newWorld(t, routing.Replica, 2, cfg)
	w.publish(w.picture("", 1, 1))
	for i := range n {
		w.newClient(i % len(w.loops)).rank = i
	}
	for _, c := range w.clients[:2] {
		c.acquire()
		w.dialAll()
	}
	if w.clients[0].server.Node() != "a" || w.clients[1].server.Node() != "b" {
		t.Fatal("the clients have other servers")
	}
	return w, w.clients
}

// ails makes a node suspect: it keeps its connections, and gets no work.
func (w *world) ails(id topology.NodeID) {
	s := w.picture("", 1, 1)
	s.Node(id).Health = topology.HealthSuspect
	w.publish(s)
}

// TestWhoWaitsDoesNotGetAServerOfANodeThatMayNotServe, although it has just become free: he waits for another (I4).
func TestWhoWaitsDoesNotGetAServerOfANodeThatMayNotServe(t *testing.T) {
	w, c := replicas(t, 3)
	c[2].acquire()
	w.ails("a")
	c[0].release(Clean)
	w.runTasks()
	if c[2].server != nil || w.node("a").Idle != 1 {
		t.Fatalf("server %v, %+v", c[2].server, w.node("a"))
	}
	c[1].release(Clean)
	w.runTasks()
	if c[2].server == nil || c[2].server.Node() != "b" {
		t.Errorf("server %v of the other node", c[2].server)
	}
}

// TestAServerOnItsWayIsNotHandedOutWhenItsNodeMayNotServeAnyMore: who was promised it has his old place again (I4, I5).
func TestAServerOnItsWayIsNotHandedOutWhenItsNodeMayNotServeAnyMore(t *testing.T) {
	w, c := replicas(t, 4)
	c[0].release(Clean)
	c[3].acquire() // on the other loop
	if c[3].waiter.place != placePromised {
		t.Fatalf("place %d", c[3].waiter.place)
	}
	w.ails("a")
	w.runTasks()
	if c[3].server != nil || c[3].waiter.place != placeWaiting || w.node("a").Idle != 1 {
		t.Fatalf("server %v, place %d, %+v", c[3].server, c[3].waiter.place, w.node("a"))
	}
	w.publish(w.picture("", 1, 1))
	w.runTasks()
	if c[3].server == nil || c[3].server.Node() != "a" {
		t.Errorf("server %v when the node may serve again", c[3].server)
	}
}

// TestAServerOnItsWayIsClosedWhenItsNodeHasAnotherLife: who was promised it gets one of that life (I2).
func TestAServerOnItsWayIsClosedWhenItsNodeHasAnotherLife(t *testing.T) {
	w, c := opened(t, 2, 1, 2)
	c[0].acquire()
	w.dialAll()
	former := c[0].server
	c[1].acquire() // on the other loop
	c[0].release(Clean)
	if c[1].waiter.place != placePromised {
		t.Fatalf("place %d", c[1].waiter.place)
	}
	w.publish(w.picture("a", 2, 1))
	w.runTasks()
	w.dialAll()
	if c[1].server == nil || c[1].server == former || w.closedFor(closedStale) != 1 {
		t.Errorf("server %v, %d closed", c[1].server, w.closedFor(closedStale))
	}
}

// TestConnectionsToAFormerPrimaryAreClosed, also when its life goes on as that of a standby (I2).
func TestConnectionsToAFormerPrimaryAreClosed(t *testing.T) {
	w, c := opened(t, 1, 2, 2)
	c[0].acquire()
	c[1].acquire()
	w.dialAll()
	c[1].release(Clean)
	w.publish(w.picture("b", 1, 1))
	w.runTasks()
	if n := w.closedFor(closedStale); n != 1 || w.node("a").Idle != 0 {
		t.Fatalf("%d closed, %+v", n, w.node("a"))
	}
	c[0].release(Clean)
	w.runTasks()
	if n := w.closedFor(closedStale); n != 2 || w.node("a").Idle != 0 {
		t.Errorf("%d closed when it was released, %+v", n, w.node("a"))
	}
	for _, x := range w.wires {
		if !x.closed {
			t.Error("a connection is left open")
		}
	}
}

// TestAServerIsGivenBackToItsOwnQueueOnly: another one notices, and nothing changes (I6).
func TestAServerIsGivenBackToItsOwnQueueOnly(t *testing.T) {
	w, c := opened(t, 1, 1, 1)
	c[0].acquire()
	w.dialAll()
	s := c[0].server
	stranger := w.pool.Queue(Key{Cluster: testCluster, Route: routing.Primary, Database: "db", User: "another"}, routing.Rules{}, Defaults())
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nobody noticed")
			}
		}()
		w.on(s.loop, func() { stranger.Release(s, Clean) })
	}()
	w.running = nil
	if s.state != stateLinked || s.Holder != c[0] {
		t.Errorf("the server is %s", s.state)
	}
	c[0].release(Clean)
	if got := w.node("a"); got.Idle != 1 || got.Linked != 0 {
		t.Errorf("afterwards %+v", got)
	}
}

// TestTheLossOfAServerPutsItsNeighboursInDoubt: the idle ones are closed, and where another node serves the route it gets the work
// for a moment. A server that its holder has broken says nothing of the others.
func TestTheLossOfAServerPutsItsNeighboursInDoubt(t *testing.T) {
	for how, want := range map[Outcome]int{Broken: 1, Lost: 0} {
		cfg := Defaults()
		w := newWorld(t, routing.Replica, 1, cfg)
		w.publish(w.picture("", 1, 1))
		for i := range 4 {
			w.newClient(0).rank = i
		}
		for _, c := range w.clients {
			c.acquire()
			w.dialAll()
		}
		a := byNode(w.clients, "a")
		if len(a) != 2 {
			t.Fatalf("%d of the clients are on a", len(a))
		}
		a[1].release(Clean)
		a[0].release(how)
		w.runTasks()
		if got := w.node("a"); got.Idle != want || w.node("b").Linked != 2 {
			t.Errorf("outcome %d: %+v", how, got)
		}
		a[0].acquire()
		w.dialAll()
		if got := a[0].server; got == nil || (got.Node() == "a") != (how == Broken) {
			t.Errorf("outcome %d: the next unit goes to %v", how, got)
		}
	}
}

// byNode returns the clients that have a server of a node.
func byNode(all []*client, id topology.NodeID) (there []*client) {
	for _, c := range all {
		if c.server != nil && c.server.Node() == id {
			there = append(there, c)
		}
	}
	return there
}

// TestAloneANodeIsOpenedAgainAtOnce: it is the only one there is.
func TestAloneANodeIsOpenedAgainAtOnce(t *testing.T) {
	w, c := opened(t, 1, 2, 2)
	for _, c := range c {
		c.acquire()
	}
	w.dialAll()
	c[0].release(Clean)
	c[1].release(Lost)
	w.runTasks()
	if got := w.node("a"); got.Idle+got.Linked != 0 || w.closedFor(closedDoubtful) != 1 {
		t.Fatalf("%+v", got)
	}
	c[0].acquire()
	w.dialAll()
	if c[0].server == nil {
		t.Error("the node gets no new connection")
	}
}
