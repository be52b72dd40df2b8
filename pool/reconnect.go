package pool

import (
	"context"

	"github.com/pgrouter/pgrouter/event"
)

// Reconnect lets every connection to a database, "" to any, be closed: those that nobody uses at once, the others when they are
// released. A connection that is being opened is not kept either. It returns how many are still in use. Any goroutine.
func (p *Pool) Reconnect(database string) int {
	left := 0
	for _, q := range p.queuesTo(database) {
		left += q.reconnect()
	}
	e := event.OfDatabase(event.ServersReconnected, database)
	e.Time, e.Count = p.wallClock(), left
	p.events.Emit(e)
	return left
}

// reconnect begins another round of connections.
func (q *Queue) reconnect() (left int) {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	q.mu.round++
	for _, sh := range q.mu.shelves {
		sh.eachLocked(func(s *Server) { q.retireLocked(s, closedReconnect, &t) })
		left += sh.live()
	}
	q.fillLocked(now, &t)
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
	return left
}

// WaitClose waits until the connections that Reconnect has found are closed, of a database or "" of all. The error is a *BusyError
// that tells how many are left when ctx ends. Any goroutine that may block.
func (p *Pool) WaitClose(ctx context.Context, database string) error {
	return p.drained.wait(ctx, "", func() int {
		left := 0
		for _, q := range p.queuesTo(database) {
			left += q.outdated()
		}
		return left
	})
}

// outdated counts the servers of former rounds.
func (q *Queue) outdated() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, sh := range q.mu.shelves {
		sh.eachLocked(func(s *Server) {
			if s.round != q.mu.round {
				n++
			}
		})
	}
	return n
}
