package pool

import (
	"context"
	"sync"
)

// gate lets few dials to one node run at once, whatever queues they are for, in the order they came.
type gate struct {
	mu struct {
		sync.Mutex
		inside  int
		waiting []chan struct{} // closed when the place is given
	}
}

// enter waits for a place, at most limit at once, until ctx ends.
func (g *gate) enter(ctx context.Context, limit int) error {
	c := g.ask(limit)
	if c == nil {
		return nil
	}
	select {
	case <-c:
		return nil
	case <-ctx.Done():
	}
	if !g.withdraw(c) {
		g.leave()
	}
	return ctx.Err()
}

// ask takes a place at once and returns nil, or returns what is closed when it is given.
func (g *gate) ask(limit int) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.inside < limit {
		g.mu.inside++
		return nil
	}
	c := make(chan struct{})
	g.mu.waiting = append(g.mu.waiting, c)
	return c
}

// withdraw stops waiting; false: the place was given already.
func (g *gate) withdraw(c chan struct{}) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, x := range g.mu.waiting {
		if x == c {
			g.mu.waiting = append(g.mu.waiting[:i], g.mu.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// leave gives the place to who has waited longest.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.mu.waiting) > 0 {
		close(g.mu.waiting[0])
		g.mu.waiting = g.mu.waiting[1:]
		return
	}
	g.mu.inside--
}
