package failover

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// lateWorld is a world whose pool remembers what it was told, and what that was when it was released.
type lateWorld struct {
	*world
	mu       sync.Mutex
	told     topology.NodeID
	released topology.NodeID
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
}

// TestAPoolIsReleasedOnlyWhenItKnowsTheNewPrimary: Run carries snapshots on a goroutine of its own, which may be late; here it
// has not even started. A pool that is released before would send units to the old primary.
func TestAPoolIsReleasedOnlyWhenItKnowsTheNewPrimary(t *testing.T) {
	demote, told := script(t, "0")
	w := &lateWorld{world: &world{}}
	w.publish("a:1", 1)
	w.Publish(w.Snapshot())
	c := conduct(t, w.world, Config{
		DemoteCommand: demote, PromoteCommand: []string{"/bin/true"}, DrainTimeout: time.Minute, SwitchTimeout: time.Minute,
	})
	c.deps.Pool = w
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
}
