package pool

import (
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/reactor"
)

// errand is what is left to be done with a server when the lock is given back.
type errand uint8

const (
	errandPass   errand = iota // to its next owner, or the shelf
	errandKeep                 // the pool listens to it
	errandReset                // send the reset query
	errandHangUp               // removed: say good-bye
	errandCutOff               // removed: close at once
	errandAbort                // removed: nothing that was sent to it may still arrive
)

// Release gives a server back: exactly once for each server that Acquire or Granted gave (I6). It may call the oldest waiter's
// Granted before it returns. Nothing of the server may be used afterwards. The server's loop only.
func (q *Queue) Release(s *Server, how Outcome) {
	var t todo
	now := q.pool.wires.now(s.loop)
	q.mu.Lock()
	if s.state != stateLinked || s.moving || s.queue != q {
		q.mu.Unlock()
		q.pool.mustNot("server released that nobody has (I6)")
		return
	}
	q.verifyLocked() // who has it is a user still
	s.Holder = nil
	e, h := q.returnLocked(s, how, now, &t)
	q.cureLocked(s, now, &t)
	q.verifyLocked()
	q.mu.Unlock()
	q.run(s, e, h)
	q.do(&t)
}

// returnLocked decides what becomes of a server that its last holder has done with.
func (q *Queue) returnLocked(s *Server, how Outcome, now int64, t *todo) (errand, hand) {
	switch {
	case how.Gone():
		q.removeLocked(s, s.fate)
		if how == Lost {
			q.doubtLocked(s.shelf, t)
		}
		q.fillLocked(now, t)
		return q.farewellLocked(s), hand{}
	case s.retiring.Load():
		q.removeLocked(s, s.fate)
		q.fillLocked(now, t)
		return errandHangUp, hand{}
	case q.mu.hold == event.HoldPaused:
		q.removeLocked(s, closedPaused)
		return errandHangUp, hand{}
	case q.tooManyLocked(s.shelf):
		q.removeLocked(s, closedSurplus)
		q.fillLocked(now, t)
		return errandHangUp, hand{}
	case q.pool.limits.hunger.Load() > 0 && q.makeRoomLocked(s, now):
		q.fillLocked(now, t)
		return errandHangUp, hand{}
	case s.cancels > 0:
		s.outcome = how
		q.moveLocked(s, stateCancelPending, now)
		return errandKeep, hand{}
	case how == Dirty, q.mu.cfg.ResetAlways && s.state != stateResetting:
		q.mu.count.resets++
		q.moveLocked(s, stateResetting, now)
		return errandReset, hand{}
	}
	return errandPass, q.settleLocked(s, now)
}

// farewellLocked says how a server is closed that may be in the middle of something. What its node has not acknowledged when it is cut off from
// us would be sent on by the kernel, for minutes, and run there when the network is back: beside another primary.
func (q *Queue) farewellLocked(s *Server) errand {
	if s.cut == event.CutNodeGone || q.mu.hold == event.HoldNoPrimary || q.mu.hold == event.HoldSplitBrain {
		return errandAbort
	}
	return errandCutOff
}

// makeRoomLocked removes a server that comes back if, as a place under a limit, it serves somebody of another queue better. Who waits
// here gets in line for that place.
func (q *Queue) makeRoomLocked(s *Server, now int64) bool {
	var since int64
	if w := q.mu.line.head; w != nil {
		since = w.since
	}
	b := q.pool.limits.wanted(&s.shelf.purse, since, now)
	if b == nil {
		return false
	}
	q.removeLocked(s, closedEvicted)
	q.starveLocked(s.shelf, b)
	return true
}

// run does the errand. The lock is not held; the server's loop only.
func (q *Queue) run(s *Server, e errand, h hand) {
	w := q.pool.wires
	switch e {
	case errandPass:
		q.pass(s, h)
	case errandKeep:
		w.keep(s.IO, (*keeper)(s))
	case errandReset:
		s.answer, s.answered = s.answer[:0], false
		w.keep(s.IO, (*keeper)(s))
		w.send(s.IO, q.resetMessage())
	case errandHangUp:
		q.pool.hangUp(s)
	case errandCutOff:
		w.cutOff(s.IO)
	case errandAbort:
		w.abort(s.IO)
	}
}

// Run goes on with a server whose last cancel has ended.
func (t *resumeTask) Run(l *reactor.Loop) {
	s := (*Server)(t)
	q := s.queue
	var after todo
	now := q.pool.wires.now(l)
	q.mu.Lock()
	if s.state != stateCancelPending || s.cancels > 0 {
		q.mu.Unlock()
		return
	}
	e, h := q.returnLocked(s, s.outcome, now, &after)
	q.verifyLocked()
	q.mu.Unlock()
	q.run(s, e, h)
	q.do(&after)
}
