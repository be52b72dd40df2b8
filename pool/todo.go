package pool

import (
	"time"

	"github.com/pgrouter/pgrouter/reactor"
)

// todo is what an operation has decided under the queue's lock and does when it has given it back. Its zero value is
// nothing. The servers in it are linked by their own field: those are on their way or closed, nobody else touches it.
type todo struct {
	hops     *Server // idle a moment ago, promised to a waiter of another loop
	closing  *Server // removed; to be hung up on their loops
	cuts     []*Server
	dials    *dial
	pause    time.Duration // that begins; 0: none does
	refusals *refusal
}

func (t *todo) hop(s *Server)   { s.chain, t.hops = t.hops, s }
func (t *todo) close(s *Server) { s.chain, t.closing = t.closing, s }

func (t *todo) dial(d *dial) {
	if d != nil {
		d.next, t.dials = t.dials, d
	}
}

// do does it. The lock is not held.
func (q *Queue) do(t *todo) {
	for s := t.hops; s != nil; {
		next := s.chain
		s.chain = nil
		if !q.pool.wires.post(s.loop, (*hopTask)(s)) {
			q.abandon(s)
		}
		s = next
	}
	for s := t.closing; s != nil; {
		next := s.chain
		s.chain = nil
		q.pool.wires.post(s.loop, (*closeTask)(s)) // false: the reactor closes it
		s = next
	}
	for _, s := range t.cuts {
		q.pool.wires.post(s.loop, (*cutTask)(s))
	}
	for d := t.dials; d != nil; {
		next := d.next
		d.next = nil
		q.pool.wires.launch(d)
		d = next
	}
	if t.pause > 0 {
		q.pool.wires.rest(q, t.pause)
	}
	for r := t.refusals; r != nil; {
		next := r.next
		q.pool.wires.post(r.loop, r)
		r = next
	}
	q.pool.feed()
}

// abandon removes a server whose loop, or whose waiter's loop, has ended: the router is going away.
func (q *Queue) abandon(s *Server) {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	if s.state != stateClosed {
		q.removeLocked(s, closedShutdown)
	}
	q.fillLocked(now, &t)
	q.mu.Unlock()
	q.do(&t)
}

// The tasks of a server: itself under another name, so that posting allocates nothing.
type (
	hopTask    Server // it changes loops, or has
	closeTask  Server // it was removed: hang up
	cutTask    Server // its holder shall let go of it
	resumeTask Server // the last cancel for it has ended
)

// Run hangs up.
func (t *closeTask) Run(*reactor.Loop) {
	s := (*Server)(t)
	s.queue.pool.hangUp(s)
}

// hangUp says good-bye to a server that is on no list any more. Its loop only.
func (p *Pool) hangUp(s *Server) { p.wires.hangUp(s.IO, p.goodBye) }

// refusal is a waiter's answer on its way.
type refusal struct {
	next   *refusal
	queue  *Queue
	waiter *Waiter
	loop   *reactor.Loop
	ticket uint64
	err    error
}

// Run delivers it, unless the waiter has given up since.
func (r *refusal) Run(*reactor.Loop) {
	w := r.waiter
	if w.ticket.Load() != r.ticket {
		return
	}
	r.queue.mu.Lock()
	w.answered()
	r.queue.mu.Unlock()
	w.Grantee.Refused(r.err)
}

// refuseLocked refuses everybody in the line.
func (q *Queue) refuseLocked(err error, t *todo) {
	for w := q.mu.line.tail; w != nil; w = q.mu.line.tail { // backwards: the oldest is told first
		q.mu.line.leave(w)
		w.place = placeRefused
		q.mu.count.refused++
		t.refusals = &refusal{next: t.refusals, queue: q, waiter: w, loop: w.Loop, ticket: w.ticket.Load(), err: err}
	}
	q.restLocked()
}
