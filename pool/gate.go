package pool

import (
	"context"
	"sync"

	"github.com/pgrouter/pgrouter/topology"
)

// gate lets few dials to one node run at once, whatever queues they are for, in the order they came. A node in a new life, just started
// or just promoted, is met gently: one dial at first, twice as many after each that succeeded, as far as the limit; a failure halves it.
type gate struct {
	mu struct {
		sync.Mutex
		inside  int
		allowed int             // in this life of the node, besides the limit
		limit   int             // as who entered last said
		waiting []chan struct{} // closed when the place is given
		life    topology.Incarnation
	}
}

// enter waits for a place, at most limit at once, until ctx ends. life is the node's.
func (g *gate) enter(ctx context.Context, limit int, life topology.Incarnation) error {
	c := g.ask(limit, life)
	if c == nil {
		return nil
	}
	select {
	case <-c:
		return nil
	case <-ctx.Done():
	}
	if !g.withdraw(c) {
		g.leave(dialUnmade)
	}
	return ctx.Err()
}

// ask takes a place at once and returns nil, or returns what is closed when it is given.
func (g *gate) ask(limit int, life topology.Incarnation) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.allowed == 0 || g.mu.life != life {
		g.mu.allowed, g.mu.life = 1, life
	}
	g.mu.limit = limit
	if g.mu.inside < min(g.mu.allowed, limit) {
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

// dialResult is what has become of a dial that was let in.
type dialResult uint8

const (
	dialUnmade dialResult = iota // it was not wanted any more
	dialWell
	dialBadly
)

// resultOf reads the error of a dial. A node that refuses somebody by name has nothing against the others.
func resultOf(err error) dialResult {
	if refusesForGood(err) {
		return dialUnmade
	}
	return dialBadly
}

// leave gives places to those who have waited longest.
func (g *gate) leave(how dialResult) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.inside--
	switch how {
	case dialWell:
		g.mu.allowed = min(2*g.mu.allowed, g.mu.limit)
	case dialBadly:
		g.mu.allowed = max(g.mu.allowed/2, 1)
	case dialUnmade:
	}
	for len(g.mu.waiting) > 0 && g.mu.inside < min(g.mu.allowed, g.mu.limit) {
		close(g.mu.waiting[0])
		g.mu.waiting = g.mu.waiting[1:]
		g.mu.inside++
	}
}
