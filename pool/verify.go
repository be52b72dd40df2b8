package pool

import (
	"errors"
	"fmt"

	"github.com/pgrouter/pgrouter/event"
)

// verifyLocked checks the queue's invariants when the pool was told to.
func (q *Queue) verifyLocked() {
	if !q.pool.verify {
		return
	}
	if err := q.checkLocked(); err != nil {
		q.brokenLocked(err)
	}
}

// brokenLocked reports a broken invariant. Under verification it panics, with the lock given back.
func (q *Queue) brokenLocked(err error) {
	q.pool.faults.Add(1)
	if q.pool.verify {
		q.mu.Unlock()
		q.pool.mustNot(fmt.Sprintf("queue %s: %v", q.key, err))
	}
}

// checkLocked looks for what must never be (I1, I2, I4, I5, I6).
func (q *Queue) checkLocked() error {
	var live, died uint64
	for _, sh := range q.mu.shelves {
		if err := q.checkShelf(sh); err != nil {
			return err
		}
		live += uint64(sh.live())
	}
	for r, n := range q.mu.count.closed {
		if closeReason(r) != closedLate {
			died += n
		}
	}
	if live != q.mu.count.born-died {
		return fmt.Errorf("I1: %d servers on the shelves, %d born, %d dead", live, q.mu.count.born, died)
	}
	if err := q.checkLine(); err != nil {
		return err
	}
	if err := q.checkUsers(); err != nil {
		return err
	}
	return q.checkDoor()
}

// checkUsers checks that who waits or has a server is a user: the queue cannot be forgotten under him.
func (q *Queue) checkUsers() error {
	if q.users.Load() > 0 {
		return nil
	}
	if q.mu.line.n > 0 {
		return errors.New("I5: somebody waits in a queue that nobody uses")
	}
	for _, sh := range q.mu.shelves {
		for s := sh.lists[stateLinked].head; s != nil; s = s.next {
			if !s.moving || s.claim != nil {
				return errors.New("I3: somebody has a server of a queue that nobody uses")
			}
		}
	}
	return nil
}

// checkShelf checks the lists of one shelf.
func (q *Queue) checkShelf(sh *shelf) error {
	if sh.dialing < 0 {
		return fmt.Errorf("%d dials to %s", sh.dialing, sh.node)
	}
	open := 0
	for st := range stateCount {
		n, last := 0, (*Server)(nil)
		for s := sh.lists[st].head; s != nil; s = s.next {
			if s.prev != last || s.state != st || s.shelf != sh || n > sh.lists[st].n {
				return fmt.Errorf("I1: server of %s in state %s is on the list %s", sh.node, s.state, st)
			}
			if err := q.checkServer(s); err != nil {
				return err
			}
			n, last = n+1, s
		}
		if n != sh.lists[st].n || last != sh.lists[st].tail || n > 0 && (st == stateBorn || st == stateClosed) {
			return fmt.Errorf("I1: list %s of %s counts %d, has %d", st, sh.node, sh.lists[st].n, n)
		}
		open += n
	}
	if open != sh.live() {
		return fmt.Errorf("I1: %s has %d connections, and counts %d", sh.node, open, sh.live())
	}
	return nil
}

// checkServer checks one server against its state.
func (q *Queue) checkServer(s *Server) error {
	switch {
	case s.moving && s.state != stateLinked:
		return fmt.Errorf("I3: a server in state %s changes loops", s.state)
	case s.claim != nil && (!s.moving || s.claim.place != placePromised || s.claim.server != s || s.claim.queue != q):
		return errors.New("I3: a server is promised to a waiter that does not know")
	case s.state == stateCancelPending && s.cancels == 0 && s.outcome.Gone():
		return errors.New("I2: a broken server waits for a cancel")
	case s.state == stateLinked && s.Conn.Target.WantStandby && s.cut == event.CutNone && q.staleLocked(s):
		return errors.New("I4: somebody keeps a standby in the place of a primary")
	case s.state == stateLinked && !s.ahead.IsZero():
		return errors.New("I4: somebody has a server that was opened ahead, before its node was the primary")
	case s.state != stateIdle:
		return nil
	case s.cancels != 0 || s.claim != nil || s.Holder != nil || s.IO == nil:
		return errors.New("I2: an idle server is not free")
	case s.retiring.Load():
		return errors.New("I2: an idle server is to be closed")
	case q.mu.closed:
		return errors.New("I4: a server is idle in a closed queue")
	case q.mu.hold == event.HoldPaused:
		return errors.New("I4: a server is idle while its database is paused")
	case s.round != q.mu.round:
		return errors.New("I2: an idle server should have been closed by Reconnect")
	case q.staleLocked(s):
		return errors.New("I2: an idle server belongs to a former life of its node")
	}
	return nil
}

// checkLine checks the waiters.
func (q *Queue) checkLine() error {
	n, last := 0, (*Waiter)(nil)
	for w := q.mu.line.head; w != nil; w = w.next {
		if w.prev != last || n > q.mu.line.n {
			return errors.New("I5: the line is broken")
		}
		if w.place != placeWaiting || w.queue != q || w.server != nil {
			return fmt.Errorf("I5: somebody in the line does not wait (place %d)", w.place)
		}
		if last != nil && !last.before(w) {
			return errors.New("I5: the line is out of order")
		}
		n, last = n+1, w
	}
	if n != q.mu.line.n || last != q.mu.line.tail {
		return fmt.Errorf("I5: the line counts %d, has %d", q.mu.line.n, n)
	}
	return nil
}

// checkDoor checks that nobody waits who could be served, and that what waits will be.
func (q *Queue) checkDoor() error {
	if q.mu.closed && q.mu.line.n > 0 {
		return errors.New("I4: somebody waits in a closed queue")
	}
	if q.mu.hold != event.HoldNone || q.mu.line.n == 0 {
		return nil
	}
	dialing, room, trouble := 0, false, false
	for _, sh := range q.mu.nodes {
		if !sh.eligible {
			return errors.New("I4: a node that may serve is not eligible")
		}
		if sh.idle() > 0 {
			return fmt.Errorf("I5: %d wait and %d servers of %s are idle", q.mu.line.n, sh.idle(), sh.node)
		}
		dialing += sh.dialing
		room = room || sh.total() < q.sizeLocked(sh) && !sh.doubtful && sh.short == nil
		trouble = trouble || sh.trouble != nil
	}
	if dialing < q.mu.line.n && room && !trouble {
		return fmt.Errorf("%d wait, only %d servers are being opened, and there is room", q.mu.line.n, dialing)
	}
	return nil
}
