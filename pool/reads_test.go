package pool

import (
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// standbys makes a world with the standbys a and b, long in their lives.
func standbys(t *testing.T, balance routing.Balance, reads Reads) *world {
	t.Helper()
	w := newWorldOf(t, testKey(routing.Replica), routing.Rules{Balance: balance}, 1, Defaults())
	w.publish(w.picture("", 1, 1))
	w.pool.SetReads(testCluster, reads)
	w.elapse(time.Hour)
	return w
}

// openAll opens so many connections to each node that the queue may use.
func (w *world) openAll(n int) {
	w.t.Helper()
	var t todo
	w.queue.mu.Lock()
	for _, sh := range w.queue.mu.nodes {
		for sh.total() < n {
			t.dial(w.queue.dialLocked(sh, true))
		}
	}
	w.queue.mu.Unlock()
	w.queue.do(&t)
	w.settled()
}

// spread runs units of work one after the other and counts them by node.
func (w *world) spread(units int) map[topology.NodeID]int {
	w.t.Helper()
	c := w.newClient(0)
	count := map[topology.NodeID]int{}
	for range units {
		node := c.unit()
		if node == "" {
			w.t.Fatalf("a unit waits")
		}
		count[node]++
	}
	return count
}

// crowd lets clients have a server at once, and counts them by node. They keep it.
func (w *world) crowd(clients int) map[topology.NodeID]int {
	w.t.Helper()
	count := map[topology.NodeID]int{}
	for range clients {
		c := w.newClient(0)
		c.acquire()
		w.dialAll()
		if c.server == nil {
			w.t.Fatalf("a client waits")
		}
		count[c.server.Node()]++
	}
	return count
}

func TestReadsAreSharedOutByWeight(t *testing.T) {
	for _, balance := range []routing.Balance{routing.LeastConnections, routing.RoundRobin} {
		w := standbys(t, balance, Reads{Weights: map[topology.NodeID]int{"a": 3}})
		w.openAll(4)
		if got := w.spread(400); got["a"] != 300 || got["b"] != 100 {
			t.Errorf("%s, one after the other: %v", balance, got)
		}
	}
	w := standbys(t, routing.LeastConnections, Reads{Weights: map[topology.NodeID]int{"b": 3}})
	w.openAll(10)
	if got := w.crowd(8); got["a"] != 2 || got["b"] != 6 {
		t.Errorf("all at once: %v", got)
	}
	w = standbys(t, routing.LeastConnections, Reads{Weights: map[topology.NodeID]int{"b": 3}})
	if got := w.crowd(8); got["a"] != 2 || got["b"] != 6 {
		t.Errorf("new connections: %v", got)
	}
}

func TestANodeOfWeightNothingGetsNoReads(t *testing.T) {
	w := standbys(t, routing.LeastConnections, Reads{Weights: map[topology.NodeID]int{"a": 0}})
	if got := w.crowd(4); got["b"] != 4 {
		t.Errorf("%v", got)
	}
	w.pool.SetReads(testCluster, Reads{})
	if got := w.crowd(4); got["a"] != 4 {
		t.Errorf("when it has a weight again: %v", got)
	}
	w.pool.SetReads(testCluster, Reads{Weights: map[topology.NodeID]int{"a": 0, "b": 0}})
	w.publish(w.picture("a", 1, 1))
	for route, want := range map[routing.Route]int{routing.Primary: 1, routing.Replica: 0, routing.PreferReplica: 1, routing.Any: 0} {
		if got := w.pool.Decide(testCluster, route, routing.Rules{}).Nodes; len(got) != want {
			t.Errorf("%s leads to %v", route, got)
		}
	}
}

func TestTheShareOfAStandbyThatComesBackGrows(t *testing.T) {
	for _, balance := range []routing.Balance{routing.LeastConnections, routing.RoundRobin} {
		w := standbys(t, balance, Reads{SlowStart: 30 * time.Second})
		w.openAll(4)
		if got := w.spread(110); got["b"] != 55 {
			t.Errorf("%s: before: %v", balance, got)
		}
		w.publish(w.picture("", 1, 2))
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{0, 10}, {15 * time.Second, 110 / 3}, {15 * time.Second, 55}, {time.Hour, 55}} {
			w.elapse(step.after)
			w.openAll(4)
			if got := w.spread(110); got["b"] < step.want-1 || got["b"] > step.want+1 {
				t.Errorf("%s: %v later: %v, want %d", balance, step.after, got, step.want)
			}
		}
	}
	w := standbys(t, routing.LeastConnections, Reads{SlowStart: 30 * time.Second})
	w.publish(w.picture("", 1, 2))
	w.openAll(20)
	if got := w.crowd(11); got["b"] != 1 {
		t.Errorf("all at once: %v", got)
	}
}

func TestASilenceLeavesANodeWarm(t *testing.T) {
	w := standbys(t, routing.LeastConnections, Reads{SlowStart: time.Minute})
	w.ails("b")
	w.publish(w.picture("", 1, 1))
	w.openAll(4)
	if got := w.spread(100); got["b"] != 50 {
		t.Errorf("%v", got)
	}
}

func TestWhoMustWaitDoesNotWaitForAColdNodeToGetWarm(t *testing.T) {
	w := standbys(t, routing.LeastConnections, Reads{SlowStart: time.Hour})
	w.publish(w.picture("", 1, 2))
	if got := w.crowd(2 * Defaults().Size); got["a"] != Defaults().Size || got["b"] != Defaults().Size {
		t.Errorf("%v", got)
	}
}

// TestANodeMayBeYoungerThanTheClockOfALoop: a loop reads the clock when its turn begins.
func TestANodeMayBeYoungerThanTheClockOfALoop(t *testing.T) {
	for slow, want := range map[time.Duration]int64{0: wholeShare, time.Minute: wholeShare / coldPart} {
		w := standbys(t, routing.LeastConnections, Reads{SlowStart: slow})
		w.publish(w.picture("", 2, 2))
		w.queue.mu.Lock()
		if got := w.queue.shareLocked(w.queue.mu.nodes[0], w.time-1); got != want {
			t.Errorf("slow start %v: its share is %d, want %d", slow, got, want)
		}
		w.queue.mu.Unlock()
	}
}
