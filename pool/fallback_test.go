package pool

import (
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// fallback makes a world in which the primary a stands in for the standby b, which does not answer.
func fallback(t *testing.T, route routing.Route, percent int, cfg Config) *world {
	t.Helper()
	w := newWorldOf(t, testKey(route), routing.Rules{FallbackPrimary: route == routing.Replica, FallbackMax: percent}, 2, cfg)
	w.silent("b")
	return w
}

// silent publishes the primary a and the standby b, of which one does not answer; "" = both do.
func (w *world) silent(id topology.NodeID) {
	s := w.picture("a", 1, 1)
	if n := s.Node(id); n != nil {
		n.Health = topology.HealthDown
	}
	w.publish(s)
}

// throng lets so many clients ask for a server.
func (w *world) throng(n int) (served, waiting []*client) {
	for i := range n {
		c := w.newClient(i % len(w.loops))
		c.rank = i
		c.acquire()
		w.dialAll()
		if c.server != nil {
			served = append(served, c)
		} else {
			waiting = append(waiting, c)
		}
	}
	return served, waiting
}

func TestReadsHaveOnlyAPartOfAPrimaryThatStandsIn(t *testing.T) {
	cfg := Defaults()
	cfg.Size, cfg.ReserveSize, cfg.MinSize = 10, 5, 10
	for _, row := range []struct {
		sentence string
		route    routing.Route
		percent  int
		want     int
	}{
		{"a third for fallback", routing.Replica, 30, 3},
		{"… and for prefer-replica", routing.PreferReplica, 30, 3},
		{"one at least", routing.Replica, 1, 1},
		{"all of it", routing.Replica, 100, 15},
		{"the primary's own clients are not rationed", routing.Primary, 30, 15},
		{"nor those of any", routing.Any, 30, 15},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := fallback(t, row.route, row.percent, cfg)
			w.throng(20)
			w.elapse(cfg.ReserveTimeout)
			w.sweep()
			w.dialAll()
			if got := w.node("a"); got.Linked+got.Idle != row.want {
				t.Errorf("%d connections: %+v", row.want, got)
			}
			for _, c := range w.clients {
				if why := w.reason(c); c.waiting && why != event.HoldExhausted {
					t.Fatalf("it waits because of %s", why)
				}
			}
		})
	}
}

func TestReadsLeaveThePrimaryWithTheirUnitsWhenAStandbyIsBack(t *testing.T) {
	cfg := Defaults()
	cfg.Size = 10
	w := fallback(t, routing.Replica, 30, cfg)
	served, waiting := w.throng(6)
	if len(served) != 3 || len(waiting) != 3 || !w.queue.Stats().Fallback {
		t.Fatalf("%d are served, %d wait", len(served), len(waiting))
	}
	served[0].release(Clean)
	w.runTasks() // one who waited has it now
	w.silent("")
	w.dialAll()
	if w.queue.Stats().Fallback {
		t.Error("the primary stands in still")
	}
	for _, c := range waiting {
		if c.server == nil {
			t.Fatal("who waited waits still, although a standby is there")
		}
	}
	if got := w.node("a"); got.Linked != 3 || got.Retiring != 3 {
		t.Errorf("units that run on the primary were disturbed: %+v", got)
	}
	for _, c := range w.clients {
		if c.server != nil {
			c.release(Clean)
		}
	}
	w.runTasks()
	if got := w.node("a"); got.Linked+got.Idle != 0 || w.closedFor(closedFallback) != 3 {
		t.Errorf("connections to the primary are left: %+v", got)
	}
	if got := w.spread(10); got["b"] != 10 {
		t.Errorf("%v", got)
	}
	w.silent("b")
	if served, _ := w.throng(1); len(served) != 1 || served[0].server.Node() != "a" {
		t.Error("the primary does not stand in a second time")
	}
}

// TestReadsLeaveThePrimaryAlsoWhenNobodyServedMeanwhile: it was in doubt, or all were held, when the standby came back.
func TestReadsLeaveThePrimaryAlsoWhenNobodyServedMeanwhile(t *testing.T) {
	for _, meanwhile := range []func(w *world){
		func(w *world) {
			none := w.picture("", 1, 1)
			none.Nodes[0].Role, none.Nodes[1].Health = topology.RolePrimary, topology.HealthDown
			w.publish(none)
		},
		func(w *world) { w.pause("db", time.Minute) },
	} {
		w := fallback(t, routing.PreferReplica, 30, Defaults())
		served, _ := w.throng(2)
		meanwhile(w)
		w.silent("")
		w.unpause("")
		w.runTasks()
		for _, c := range served {
			c.release(Clean)
		}
		w.runTasks()
		if got := w.node("a"); got.Linked+got.Idle != 0 {
			t.Errorf("connections to the primary are left: %+v", got)
		}
	}
}

func TestAStandbyThatComesBackGetsItsShareAgain(t *testing.T) {
	for _, balance := range []routing.Balance{routing.LeastConnections, routing.RoundRobin} {
		w := standbys(t, balance, Reads{})
		w.ails("b")
		got := w.crowd(8)
		if got["a"] != 8 {
			t.Fatalf("%v", got)
		}
		w.publish(w.picture("", 1, 1))
		if linked := w.node("a").Linked; linked != 8 {
			t.Errorf("%s: %d of 8 go on", balance, linked)
		}
		for _, c := range w.clients {
			c.release(Clean)
		}
		w.elapse(time.Second)
		for range 10 { // the first units find only connections to a; those to b are opened behind them
			w.spread(1)
			w.settled()
		}
		if got := w.spread(100); got["a"] < 48 || got["b"] < 48 {
			t.Errorf("%s: one after the other: %v", balance, got)
		}
		crowd := map[topology.NodeID]int{}
		for _, c := range w.clients[:8] {
			c.acquire()
			w.settled()
			crowd[c.server.Node()]++
		}
		if crowd["b"] < 3 {
			t.Errorf("%s: all at once: %v", balance, crowd)
		}
	}
}

func TestRulesWithoutEffectMakeNoOtherQueue(t *testing.T) {
	w := newWorld(t, routing.Primary, 1, Defaults())
	if w.pool.Queue(w.queue.key, routing.Rules{MaxLag: routing.LagLimit{Bytes: 1}, FallbackMax: 30}, Defaults()) != w.queue {
		t.Error("a limit of lag makes another queue of the primary")
	}
}
