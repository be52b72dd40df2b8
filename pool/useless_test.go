package pool

import (
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// stricken makes a world in which the first server, which c[0] waited for, ended before it had served anybody.
func stricken(t *testing.T, n int) (*world, []*client) {
	t.Helper()
	w, c := opened(t, 1, 3, n)
	for _, x := range c {
		x.acquire()
	}
	w.dialOK(0)
	w.runTasks()
	c[0].useless(Lost)
	for len(w.dials) > 0 { // those that were under way
		w.dialOK(0)
	}
	return w, c
}

func TestAServerThatEndsBeforeItServesIsAFailedLogin(t *testing.T) {
	w, c := stricken(t, 1)
	c[0].waiter.Front = true
	for fails := 1; fails < 6; fails++ {
		c[0].acquire()
		sh := w.queue.mu.nodes[0]
		if len(w.dials) != 0 || w.reason(c[0]) != event.HoldDialFailing || sh.fails != fails || sh.trouble == nil || len(w.retries) != 1 {
			t.Fatalf("after %d failures, counted %d: %d dials, %s, %v, %d pauses", fails, sh.fails, len(w.dials), w.reason(c[0]), sh.trouble, len(w.retries))
		}
		w.elapse(10 * time.Second)
		if len(w.dials) != 1 {
			t.Fatalf("%d dials try after the pause", len(w.dials))
		}
		w.dialAll()
		c[0].useless(Broken)
	}
	if n := w.closedFor(closedUseless); n != 6 {
		t.Errorf("%d counted", n)
	}
}

func TestALoginAloneDoesNotEndTheBackOffButAServerThatServesDoes(t *testing.T) {
	w, c := stricken(t, 3)
	w.elapse(10 * time.Second)
	w.dialOK(0)
	w.runTasks()
	if c[1].server == nil || len(w.dials) != 1 {
		t.Fatalf("served: %v, %d dials follow at a time", c[1].server != nil, len(w.dials))
	}
	sh := w.queue.mu.nodes[0]
	c[0].rank = len(c)
	if c[0].acquire(); sh.fails != 1 || len(w.dials) != 1 {
		t.Fatalf("a login has forgiven: %d failures, %d dials", sh.fails, len(w.dials))
	}
	c[1].release(Clean)
	if sh.fails != 0 || sh.trouble != nil || w.node("a").Dialing != 1 || c[2].server == nil {
		t.Errorf("a server that serves has not forgiven: %d failures, %v, %+v", sh.fails, sh.trouble, w.node("a"))
	}
}

func TestAnOlderServerThatServesSaysNothingOfLogins(t *testing.T) {
	w, c := opened(t, 1, 3, 2)
	c[0].acquire()
	w.dialAll()
	c[1].acquire()
	w.dialAll()
	c[1].useless(Broken)
	c[0].release(Clean)
	if sh := w.queue.mu.nodes[0]; sh.fails != 1 || sh.retryAt <= w.time {
		t.Errorf("%d failures, the pause is over", sh.fails)
	}
}

func TestTheBackOffOfUselessServersEndsWithTheNodesRole(t *testing.T) {
	for name, next := range map[string]func(w *world) *topology.Snapshot{
		"another life": func(w *world) *topology.Snapshot { return w.picture("a", 2, 1) },
		"another node": func(w *world) *topology.Snapshot { return w.picture("b", 2, 2) },
	} {
		w, c := stricken(t, 1)
		c[0].acquire()
		w.publish(next(w))
		if len(w.dials) != 1 {
			t.Errorf("%s: %d dials", name, len(w.dials))
		}
	}
}

func TestWhoHasServedOrWasEndedByUsIsNoFailedLogin(t *testing.T) {
	for name, before := range map[string]func(w *world, c *client){
		"has served":  func(_ *world, c *client) { c.server.Served = true },
		"was cut":     func(w *world, c *client) { c.keep = true; w.pool.Cut(testCluster, "a", event.CutKilled) },
		"is outdated": func(w *world, _ *client) { w.publish(w.picture("a", 2, 1)) },
	} {
		w, c := opened(t, 1, 1, 1)
		c[0].acquire()
		w.dialAll()
		before(w, c[0])
		c[0].useless(Broken)
		if sh := w.queue.mu.nodes[0]; sh.fails != 0 || sh.trouble != nil {
			t.Errorf("%s: %d failures, %v", name, sh.fails, sh.trouble)
		}
	}
}

func TestAServerThatDiesOnTheWayToItsFirstClientIsAFailedLogin(t *testing.T) {
	w, c := opened(t, 2, 1, 2)
	c[0].acquire()
	w.dialOK(0)
	c[0].giveUp()
	w.runTasks()
	c[1].acquire() // lives on the other loop
	w.kill(w.wires[0])
	w.runTasks()
	if len(w.dials) != 0 || w.reason(c[1]) != event.HoldDialFailing {
		t.Errorf("%d dials, %s", len(w.dials), w.reason(c[1]))
	}
}
