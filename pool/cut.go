package pool

import (
	"context"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// Cut closes all connections to a node ("" = to every node of the cluster), whatever their route: idle ones at once, and for
// those in use Holder.Cut is called on their loops. It returns how many there were. New connections to the node are opened as
// long as routing names it: hold or publish first. Of a former primary (event.CutNodeGone) connections to the standby that it
// has become since are spared. Any goroutine.
func (p *Pool) Cut(c topology.ClusterID, n topology.NodeID, why event.CutReason) int {
	count := 0
	for _, q := range p.queuesOf(c) {
		count += q.cutNode(n, why)
	}
	return count
}

func (q *Queue) cutNode(n topology.NodeID, why event.CutReason) int {
	var t todo
	count := 0
	now := q.pool.wires.clock()
	q.mu.Lock()
	for _, sh := range q.mu.shelves {
		if n == "" || sh.node == n {
			count += q.cutShelfLocked(sh, why, &t)
		}
	}
	q.fillLocked(now, &t)
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
	return count
}

func (q *Queue) cutShelfLocked(sh *shelf, why event.CutReason, t *todo) int {
	count := 0
	sh.eachLocked(func(s *Server) {
		if why == event.CutNodeGone && s.Conn.HotStandby && !q.staleLocked(s) {
			return
		}
		count++
		if s.state == stateLinked {
			s.cut = why
			if !s.moving {
				t.cuts = append(t.cuts, s)
			}
		}
		q.retireLocked(s, closedCut, t)
	})
	return count
}

// Run tells the holder, if there still is one: a server that was released since is closed already.
func (t *cutTask) Run(*reactor.Loop) {
	s := (*Server)(t)
	q := s.queue
	q.mu.Lock()
	linked, why := s.state == stateLinked && !s.moving, s.cut
	q.mu.Unlock()
	if linked && s.Holder != nil {
		s.Holder.Cut(s, why)
	}
}

// WaitIdle waits until nobody has a connection to the node in a queue with Route Primary. The error is a *BusyError that tells
// how many are left when ctx ends. Any goroutine that may block.
func (p *Pool) WaitIdle(ctx context.Context, c topology.ClusterID, n topology.NodeID) error {
	return p.drained.wait(ctx, n, func() int { return p.inUse(c, n, func(*Server) bool { return true }) })
}

// WaitQuiet is WaitIdle that does not wait for sessions that keep a connection and do nothing with it. Such a session may begin a unit
// of work at any time. Any goroutine that may block.
func (p *Pool) WaitQuiet(ctx context.Context, c topology.ClusterID, n topology.NodeID) error {
	return p.drained.wait(ctx, n, func() int { return p.inUse(c, n, func(s *Server) bool { return !s.resting.Load() }) })
}

// inUse counts the connections to a node that somebody has in a queue with Route Primary, of those that count.
func (p *Pool) inUse(c topology.ClusterID, n topology.NodeID, counts func(*Server) bool) int {
	used := 0
	for _, q := range p.queuesOf(c) {
		if q.key.Route == routing.Primary {
			used += q.linkedTo(n, counts)
		}
	}
	return used
}

func (q *Queue) linkedTo(n topology.NodeID, counts func(*Server) bool) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	linked := 0
	for _, sh := range q.mu.shelves {
		if sh.node != n {
			continue
		}
		for s := sh.lists[stateLinked].head; s != nil; s = s.next {
			if counts(s) {
				linked++
			}
		}
	}
	return linked
}

func (q *Queue) liveServers() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, sh := range q.mu.shelves {
		n += sh.live()
	}
	return n
}
