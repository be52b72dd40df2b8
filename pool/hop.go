package pool

import (
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/reactor"
)

// A server changes loops in one or two hops: a task on the loop it lives on detaches it, a task on the other adopts it. While
// it moves it is linked, its claim is the waiter it goes to, and only the hop under way may remove it, with one exception:
// before it is detached its own loop may still find it dead. Everybody else only marks it.

// sendOff detaches s and sends it to another loop. Its loop only, the lock is not held, s.moving is set.
func (q *Queue) sendOff(s *Server, to *reactor.Loop) {
	d := q.pool.wires.detach(s.IO)
	if d == nil { // its last holder has closed it
		q.lose(s, loss{reason: closedBroken})
		return
	}
	s.IO, s.detached = nil, d
	if !q.pool.wires.post(to, (*hopTask)(s)) {
		s.detached = nil
		q.pool.wires.drop(d)
		q.abandon(s)
	}
}

// Run is one hop.
func (t *hopTask) Run(l *reactor.Loop) {
	s := (*Server)(t)
	q := s.queue
	if d := s.detached; d != nil {
		s.detached = nil
		s.IO = q.pool.wires.adopt(l, d, (*keeper)(s))
	}
	var after todo
	now := q.pool.wires.now(l)
	q.mu.Lock()
	if s.state == stateClosed { // lost before it could leave
		q.mu.Unlock()
		return
	}
	e, h := q.landLocked(s, l, now, &after)
	q.verifyLocked()
	q.mu.Unlock()
	q.run(s, e, h)
	q.do(&after)
}

// landLocked decides what becomes of a moving server that is on loop l now.
func (q *Queue) landLocked(s *Server, l *reactor.Loop, now int64, t *todo) (errand, hand) {
	w := s.claim
	s.loop, s.claim, s.moving = l, nil, false
	if w != nil && !s.retiring.Load() && q.mu.hold == event.HoldNone && s.shelf.eligible {
		h := q.handLocked(s, w, now)
		if h.loop == nil {
			q.mu.count.moves++
		}
		return errandPass, h
	}
	if w != nil { // the door was closed meanwhile (I4), or the server will not do any more
		q.takeBackLocked(s, w)
	}
	if s.retiring.Load() {
		q.removeLocked(s, s.fate)
		q.fillLocked(now, t)
		return errandHangUp, hand{}
	}
	h := q.settleLocked(s, now)
	q.fillLocked(now, t)
	return errandPass, h
}
