package demo

import (
	"context"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

const (
	watchEvery = time.Second
	askLimit   = 500 * time.Millisecond
)

// nodeState is what the screen shows of a node.
type nodeState struct {
	name, addr string
	running    bool
	answered   bool
	status     testcluster.Status
}

// nodeWatch asks the nodes directly how they are, not through the router.
type nodeWatch struct {
	mu struct {
		sync.Mutex
		statuses map[node]testcluster.Status // of those that answered last time
	}
}

func (w *nodeWatch) run(ctx context.Context, nodes []node) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		w.ask(ctx, nodes)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *nodeWatch) ask(ctx context.Context, nodes []node) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	statuses := make([]*testcluster.Status, len(nodes))
	var group sync.WaitGroup
	for i, n := range nodes {
		if !n.Running() {
			continue
		}
		group.Go(func() {
			if status, err := n.Status(ctx); err == nil {
				statuses[i] = &status
			}
		})
	}
	group.Wait()
	known := map[node]testcluster.Status{}
	for i, n := range nodes {
		if statuses[i] != nil {
			known[n] = *statuses[i]
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.statuses = known
}

// states returns the nodes in their order. Whether one runs is known at once, the rest is up to a second old.
func (w *nodeWatch) states(nodes []node) []nodeState {
	w.mu.Lock()
	known := w.mu.statuses
	w.mu.Unlock()
	var states []nodeState
	for _, n := range nodes {
		status, answered := known[n]
		states = append(states, nodeState{name: n.Name(), addr: n.Addr(), running: n.Running(), answered: answered, status: status})
	}
	return states
}
