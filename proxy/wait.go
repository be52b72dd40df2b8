package proxy

import (
	"fmt"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/topology"
)

// noticeAfter is how long a client waits for a free server before it is told so.
const noticeAfter = 5 * time.Second

// waitStep is how often a waiting client's limits are looked at when its reason to wait may have changed.
const waitStep = time.Second

// startWaiting notes that the unit has a place in the queue.
func (s *Session) startWaiting() {
	s.inLine.Store(s.loop.Now())
	s.move(stateWaiting)
	if s.waitSince == 0 {
		s.waitSince = s.loop.Now()
		s.noticed = false
	}
	s.armWait(min(s.policy.WaitTimeout, s.policy.HoldTimeout))
}

// armWait sets the timer to the next moment at which something is to be decided, under the limit given. Who gets a server does
// not stop it: most waits are short, and the timer of the last one serves the next.
func (s *Session) armWait(limit time.Duration) {
	left := limit - s.waited()
	if !s.noticed {
		left = min(left, noticeAfter-s.waited())
	}
	s.loop.ArmBy(&s.timer, max(min(left, waitStep), time.Millisecond))
}

func (s *Session) waited() time.Duration { return time.Duration(s.loop.Now() - s.waitSince) }

// obstacle is what a session or a login waits for.
type obstacle struct {
	why     event.HoldReason
	trouble error // why no further connection could be opened; nil: none is missing
}

func obstacleOf(q *pool.Queue, w *pool.Waiter) obstacle {
	why, trouble := q.Waiting(w)
	return obstacle{why, trouble}
}

// held reports whether there is no node, rather than no free connection.
func (o obstacle) held() bool {
	switch o.why {
	case event.HoldExhausted, event.HoldLimit, event.HoldPaused, event.HoldNone:
		return false
	case event.HoldNoPrimary, event.HoldNoReplica, event.HoldSwitchover, event.HoldRequested, event.HoldOrdered, event.HoldSplitBrain, event.HoldDialFailing, event.HoldClosing:
	}
	return true
}

// fault returns what is told to who has waited too long. unserved is for want of a server, which has a text of its own in a login: the
// pool is called too small only when all of it is in use.
func (o obstacle) fault(unserved pgwire.ErrID, detail, database string) *pgwire.Error {
	switch {
	case o.held() || o.trouble != nil:
		return unserved.New(detail)
	case o.why == event.HoldLimit:
		return pgwire.ErrLimitTimeout.New(detail)
	case o.why == event.HoldPaused:
		return pgwire.ErrPauseTimeout.New(detail, database)
	}
	return pgwire.ErrWaitTimeout.New(detail)
}

// waitLimit returns the limit that goes with what is waited for.
func (s *Session) waitLimit(o obstacle) time.Duration {
	if o.held() {
		return s.policy.HoldTimeout
	}
	return s.policy.WaitTimeout
}

// lookAtPrelude gives up a server that does not answer a prelude: it takes no longer than a reset. Nothing of the unit was sent.
func (s *Session) lookAtPrelude() {
	if left := s.policy.Pool.AnswerTimeout - s.silence(); left > 0 {
		s.loop.ArmBy(&s.timer, left)
		return
	}
	s.serverLost(event.CutTimeout)
}

// lookAtWait looks at a waiting client.
func (s *Session) lookAtWait() {
	o := obstacleOf(s.queue, &s.waiter)
	if s.waited() >= s.waitLimit(o) {
		s.waitedTooLong(o)
		return
	}
	if !s.noticed && s.waited() >= noticeAfter {
		s.noticed = true
		s.say(pgwire.AppendNotice(nil, pgwire.NoticeWaiting.New(s.proxy.waitDetail(s.place.cluster, s.waited(), o))))
	}
	s.armWait(s.waitLimit(o))
}

// waitedTooLong ends a client whose unit found no server in time. Nothing of the unit was sent.
func (s *Session) waitedTooLong(o obstacle) {
	fault := o.fault(pgwire.ErrHoldTimeout, s.proxy.waitDetail(s.place.cluster, s.waited(), o), s.facts.database)
	if !s.queue.GiveUp(&s.waiter) {
		return // granted this very moment: the callback is on its way
	}
	s.doneWaiting()
	s.move(stateIdle)
	if o.held() {
		s.proxy.metrics.holdExpired.Add(1)
		s.fatal(fault, event.CloseHoldTimeout)
		return
	}
	s.fatal(fault, event.CloseWaitTimeout)
}

// waitDetail says how long who waited, what for, and who was primary last.
func (p *Proxy) waitDetail(c topology.ClusterID, waited time.Duration, o obstacle) string {
	detail := fmt.Sprintf("Waited %.1f s (%s).", waited.Seconds(), o.why)
	if o.trouble != nil {
		detail += fmt.Sprintf(" No connection could be opened: %v.", o.trouble)
	}
	if snap := p.snapshot(c); snap != nil && snap.LastPrimary != "" && o.why != event.HoldExhausted && o.why != event.HoldLimit {
		detail += fmt.Sprintf(" The last primary was %s.", snap.LastPrimary)
	}
	return detail
}

func (s *Session) stopTimer() { s.loop.Disarm(&s.timer) }

// doneWaiting forgets the wait: the unit has a server that works, or has ended.
func (s *Session) doneWaiting() {
	s.stopTimer()
	s.waitSince = 0
	s.settleHeld()
}

// stopWaiting leaves the queue.
func (s *Session) stopWaiting() {
	if s.state() == stateWaiting {
		s.queue.GiveUp(&s.waiter)
	}
	s.doneWaiting()
}

// countHeld counts what a waiting client has sent, and stops reading one that sends too far ahead. The newest is refused
// when all of them together exceed hold_max_bytes. Of a client that does not wait nothing is counted.
func (s *Session) countHeld() {
	if !s.waits() {
		s.settleHeld()
		return
	}
	grown := int64(s.up.len()) - s.held
	s.held += grown
	total := s.proxy.heldBytes.Add(grown)
	if grown > 0 && total > s.proxy.config().HoldMaxBytes {
		s.stopWaiting()
		if s.server == nil {
			s.move(stateIdle)
		}
		s.fatal(pgwire.ErrQueueBytes.New(""), event.CloseQueueFull)
		return
	}
	if s.up.len() > s.proxy.config().MaxClientBuffer {
		s.pauseClient()
	}
}

// waits reports whether what the client sends has to wait, for a server or for the answer to a question of our own.
func (s *Session) waits() bool {
	st := s.state()
	return st == stateWaiting || st == statePreparing || st == stateSettling
}

// settleHeld takes the session's bytes out of the proxy's count.
func (s *Session) settleHeld() {
	if s.held != 0 {
		s.proxy.heldBytes.Add(-s.held)
		s.held = 0
	}
}
