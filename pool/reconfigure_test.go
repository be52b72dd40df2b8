package pool

import (
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// reconfigure puts settings in force that differ from the queue's own.
func (w *world) reconfigure(change func(cfg *Config)) {
	cfg := w.queue.mu.cfg
	change(&cfg)
	w.pool.Reconfigure(func(Key) Config { return cfg })
	w.runTasks()
}

func TestAnotherLifetimeCountsFromWhenAConnectionWasOpened(t *testing.T) {
	w, c := opened(t, 1, 1, 1)
	c[0].acquire()
	w.dialAll()
	c[0].release(Clean)
	w.time += int64(30 * time.Minute)
	for _, step := range []struct {
		lifetime time.Duration
		open     int
	}{{40 * time.Minute, 1}, {0, 1}, {20 * time.Minute, 0}} {
		w.reconfigure(func(cfg *Config) { cfg.Lifetime, cfg.IdleTimeout = step.lifetime, 0 })
		w.pool.sweep()
		w.runTasks()
		if got := w.node("a"); got.Idle != step.open {
			t.Errorf("lifetime %v after 30m: %+v", step.lifetime, got)
		}
	}
}

func TestAWithdrawnClusterClosesItsConnectionsAndMayComeBackFromTheBeginning(t *testing.T) {
	w, c := opened(t, 1, 3, 3)
	c[0].acquire()
	c[1].acquire()
	w.dialAll()
	c[0].release(Clean)
	w.snap = nil
	w.pool.Withdraw(testCluster)
	w.runTasks()
	if got := w.node("a"); got.Idle != 0 || got.Linked != 1 {
		t.Fatalf("withdrawn: %+v", got)
	}
	c[0].acquire()
	if why := w.reason(c[0]); why != event.HoldNoPrimary {
		t.Errorf("who comes waits for %s", why)
	}
	c[1].release(Clean)
	w.runTasks()
	if got := w.node("a"); got.Linked != 0 || got.Idle != 0 {
		t.Errorf("the last one is given back: %+v", got)
	}
	again := w.picture("a", 1, 1)
	again.Seq = 1
	w.publish(again)
	w.dialAll()
	if c[0].server == nil || w.node("a").Node != topology.NodeID("a") {
		t.Errorf("after its return: %+v", w.node("a"))
	}
}
