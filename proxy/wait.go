package proxy

import (
	"fmt"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
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

// waitLimit returns the limit that goes with a reason to wait.
func (s *Session) waitLimit(why event.HoldReason) time.Duration {
	switch why {
	case event.HoldExhausted, event.HoldLimit, event.HoldPaused, event.HoldNone:
		return s.policy.WaitTimeout
	case event.HoldNoPrimary, event.HoldNoReplica, event.HoldSwitchover, event.HoldSplitBrain, event.HoldDialFailing, event.HoldClosing:
	}
	return s.policy.HoldTimeout
}

// lookAtPrelude gives up a server that does not answer a prelude: it takes no longer than a reset. Nothing of the unit was sent.
func (s *Session) lookAtPrelude() {
	if left := s.policy.Pool.ResetTimeout - s.silence(); left > 0 {
		s.loop.ArmBy(&s.timer, left)
		return
	}
	s.serverLost(event.CutTimeout)
}

// lookAtWait looks at a waiting client.
func (s *Session) lookAtWait() {
	why, _ := s.queue.Waiting(&s.waiter)
	if s.waited() >= s.waitLimit(why) {
		s.waitedTooLong(why)
		return
	}
	if !s.noticed && s.waited() >= noticeAfter {
		s.noticed = true
		s.say(pgwire.AppendNotice(nil, pgwire.NoticeWaiting.New(s.waitDetail(why))))
	}
	s.armWait(s.waitLimit(why))
}

// waitedTooLong ends a client whose unit found no server in time. Nothing of the unit was sent.
func (s *Session) waitedTooLong(why event.HoldReason) {
	detail := s.waitDetail(why)
	if !s.queue.GiveUp(&s.waiter) {
		return // granted this very moment: the callback is on its way
	}
	s.doneWaiting()
	s.move(stateIdle)
	switch why {
	case event.HoldExhausted, event.HoldNone:
		s.fatal(pgwire.ErrWaitTimeout.New(detail), event.CloseWaitTimeout)
	case event.HoldLimit:
		s.fatal(pgwire.ErrLimitTimeout.New(detail), event.CloseWaitTimeout)
	case event.HoldPaused:
		s.fatal(pgwire.ErrPauseTimeout.New(detail, s.facts.database), event.CloseWaitTimeout)
	case event.HoldNoPrimary, event.HoldNoReplica, event.HoldSwitchover, event.HoldSplitBrain, event.HoldDialFailing, event.HoldClosing:
		s.proxy.metrics.holdExpired.Add(1)
		s.fatal(pgwire.ErrHoldTimeout.New(detail), event.CloseHoldTimeout)
	}
}

// waitDetail says how long, why, and who was primary last.
func (s *Session) waitDetail(why event.HoldReason) string {
	detail := fmt.Sprintf("Waited %.1f s (%s).", s.waited().Seconds(), why)
	if snap := s.proxy.snapshot(s.place.cluster); snap != nil && snap.LastPrimary != "" && why != event.HoldExhausted && why != event.HoldLimit {
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

// waits reports whether what the client sends has to wait, for a server or for the end of the prelude.
func (s *Session) waits() bool {
	st := s.state()
	return st == stateWaiting || st == statePreparing
}

// settleHeld takes the session's bytes out of the proxy's count.
func (s *Session) settleHeld() {
	if s.held != 0 {
		s.proxy.heldBytes.Add(-s.held)
		s.held = 0
	}
}
