package pool

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pgrouter/pgrouter/topology"
)

// drained wakes those who wait for connections to become fewer. tell is called with a queue's lock held: it only loads an
// atomic and sends on channels that have room.
type drained struct {
	waiting atomic.Pointer[[]chan struct{}]
	mu      sync.Mutex // of who changes waiting; never together with a queue's
}

func (d *drained) tell() {
	list := d.waiting.Load()
	if list == nil {
		return
	}
	for _, c := range *list {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (d *drained) update(f func([]chan struct{}) []chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var now []chan struct{}
	if old := d.waiting.Load(); old != nil {
		now = slices.Clone(*old)
	}
	now = f(now)
	d.waiting.Store(&now)
}

// wait waits until left returns 0, or ctx ends: then a *BusyError.
func (d *drained) wait(ctx context.Context, n topology.NodeID, left func() int) error {
	c := make(chan struct{}, 1)
	d.update(func(l []chan struct{}) []chan struct{} { return append(l, c) })
	defer d.update(func(l []chan struct{}) []chan struct{} {
		return slices.DeleteFunc(l, func(x chan struct{}) bool { return x == c })
	})
	for {
		count := left()
		if count == 0 {
			return nil
		}
		select {
		case <-c:
		case <-ctx.Done():
			return &BusyError{Node: n, Left: count, Err: ctx.Err()}
		}
	}
}
