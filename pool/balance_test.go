package pool

import (
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// pair makes a queue that may use two nodes alike. Routing is left out: what is tried is what the pool makes of its answer.
func pair(t *testing.T, balance routing.Balance, size, n int) (*world, []*client) {
	t.Helper()
	cfg := Defaults()
	cfg.Size = size
	w := newWorld(t, routing.Replica, 1, cfg)
	w.publish(w.picture("", 1, 1))
	w.queue.rules.Balance = balance
	w.queue.mu.nodes = nil
	for _, id := range []topology.NodeID{"a", "b"} {
		w.queue.aimLocked(w.queue.mu.view, id)
	}
	w.queue.mu.hold = event.HoldNone
	for range n {
		w.newClient(0)
	}
	return w, w.clients
}

// unit runs one short unit of work and says on which node.
func (c *client) unit() topology.NodeID {
	w := c.world
	var s *Server
	w.on(c.waiter.Loop, func() { s, _ = w.queue.Acquire(&c.waiter) })
	if s == nil {
		return ""
	}
	w.on(c.waiter.Loop, func() { w.queue.Release(s, Clean) })
	return s.Node()
}

// settled lets dials succeed without anybody waiting.
func (w *world) settled() {
	for len(w.dials) > 0 {
		d := w.dials[0]
		d.warm = true
		w.dialOK(0)
		w.runTasks()
	}
}

func TestUnitsAlternateBetweenEquallyGoodNodes(t *testing.T) {
	for _, balance := range []routing.Balance{routing.LeastConnections, routing.RoundRobin} {
		w, c := pair(t, balance, 2, 1)
		w.queue.mu.Lock()
		var todo todo
		for _, sh := range w.queue.mu.nodes {
			todo.dial(w.queue.dialLocked(sh, true))
		}
		w.queue.mu.Unlock()
		w.queue.do(&todo)
		w.settled()
		count := map[topology.NodeID]int{}
		for range 100 {
			count[c[0].unit()]++
		}
		if count["a"] != 50 || count["b"] != 50 {
			t.Errorf("balance %d: %v", balance, count)
		}
	}
}

func TestANodeWithoutConnectionsGetsOneInTheBackground(t *testing.T) {
	for _, balance := range []routing.Balance{routing.LeastConnections, routing.RoundRobin} {
		w, c := pair(t, balance, 2, 2)
		var todo todo
		w.queue.mu.Lock()
		todo.dial(w.queue.dialLocked(w.queue.mu.nodes[0], true))
		w.queue.mu.Unlock()
		w.queue.do(&todo)
		w.settled()
		for i := range 4 {
			var s *Server
			w.on(w.loops[0], func() { s, _ = w.queue.Acquire(&c[0].waiter) })
			if s == nil {
				t.Fatalf("unit %d waits although a server is idle", i)
			}
			w.on(w.loops[0], func() { w.queue.Release(s, Clean) })
		}
		if len(w.dials) != 1 || w.dials[0].target.Node != "b" {
			t.Fatalf("balance %d: %d dials", balance, len(w.dials))
		}
		w.settled()
		if w.node("b").Idle != 1 {
			t.Errorf("balance %d: b has %+v", balance, w.node("b"))
		}
	}
}

func TestLeastConnectionsGoesToTheNodeWithTheFewestInUse(t *testing.T) {
	w, c := pair(t, routing.LeastConnections, 4, 4)
	var todo todo
	w.queue.mu.Lock()
	for _, sh := range w.queue.mu.nodes {
		todo.dial(w.queue.dialLocked(sh, true))
		todo.dial(w.queue.dialLocked(sh, true))
	}
	w.queue.mu.Unlock()
	w.queue.do(&todo)
	w.settled()
	use := map[topology.NodeID]int{}
	for i, x := range c {
		var s *Server
		w.on(w.loops[0], func() { s, _ = w.queue.Acquire(&x.waiter) })
		use[s.Node()]++
		if diff := use["a"] - use["b"]; diff < -1 || diff > 1 {
			t.Fatalf("after %d: %v", i+1, use)
		}
	}
}

func TestNewConnectionsGoToTheEmptiestNode(t *testing.T) {
	w, c := pair(t, routing.LeastConnections, 2, 5)
	for _, x := range c {
		w.on(w.loops[0], func() { _, _ = w.queue.Acquire(&x.waiter) })
	}
	count := map[topology.NodeID]int{}
	for _, d := range w.dials {
		count[d.target.Node]++
	}
	if count["a"] != 2 || count["b"] != 2 {
		t.Errorf("dials %v", count)
	}
}
