package failover

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// lateWorld is a world whose pool remembers what it was told, and what that was when it was released; the same of the report.
type lateWorld struct {
	*world
	conductor *Conductor
	mu        sync.Mutex
	told      topology.NodeID
	released  topology.NodeID
	report    Report
}

func (w *lateWorld) Publish(s *topology.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = s.Primary
}

func (w *lateWorld) Resume(c topology.ClusterID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = w.told
	w.conductor.mu.Lock()
	defer w.conductor.mu.Unlock()
	w.report = *w.conductor.mu.open
}

// TestAPoolIsReleasedOnlyWhenAllKnowTheNewPrimary: Run carries snapshots on a goroutine of its own, which may be late; here it
// has not even started. A pool that is released before would send units to the old primary, and a report that did not know would
// not count the first of them, or find it served before the primary was proven.
func TestAPoolIsReleasedOnlyWhenAllKnowTheNewPrimary(t *testing.T) {
	demote, told := script(t, "0")
	w := &lateWorld{world: &world{}}
	w.publish("a:1", 1)
	w.Publish(w.Snapshot())
	c := conduct(t, w.world, Config{
		DemoteCommand: demote, PromoteCommand: []string{"/bin/true"}, DrainTimeout: time.Minute, SwitchTimeout: time.Minute,
	})
	c.deps.Pool, w.conductor = w, c
	done := make(chan error, 1)
	go func() { done <- c.Switchover(context.Background(), "b:1", 0) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for told() == "" {
		<-tick.C
	}
	w.publish("b:1", 2)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if w.released != "b:1" {
		t.Errorf("released while the pool took %q for the primary", w.released)
	}
	if r := w.report; r.To != "b:1" || r.Epoch != 2 || !r.Writable.Equal(w.Snapshot().Since) || r.Writable.Before(r.HoldStart) {
		t.Errorf("released while the report said %+v", r)
	}
}
