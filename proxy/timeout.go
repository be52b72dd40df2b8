package proxy

import (
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/relay"
)

// spoke notes the last word that counts: something came from a client that does not wait, or a request of its got its answer or its
// server. What is awaited now has its full time.
func (s *Session) spoke() {
	s.since = s.loop.Now()
	s.watch()
}

// watch sets the timer for the shortest limit, whichever holds. Mostly it runs already; only when it has run out is it asked what
// goes on.
func (s *Session) watch() {
	if s.limited {
		s.loop.ArmBy(&s.timer, s.policy.Limits.shortest())
	}
}

// silence returns how long ago that word was.
func (s *Session) silence() time.Duration { return time.Duration(s.loop.Now() - s.since) }

// Expired looks at what goes on and how long it has (reactor.Expirer).
func (s *Session) Expired(*reactor.Loop, *reactor.Timer) {
	switch s.state() {
	case stateWaiting:
		s.lookAtWait()
	case statePreparing:
		s.lookAtPrelude()
	case stateSettling:
		s.lookAtPostlude()
	case stateIdle, stateLinked:
		s.lookAtLimit()
	case stateClosed:
	}
	s.verify()
}

// lookAtLimit ends a client whose time is up. Where no limit holds the next word sets the timer again.
func (s *Session) lookAtLimit() {
	why, limit := s.timeLimit()
	left := limit - s.silence()
	switch {
	case limit == 0:
	case left > 0:
		s.loop.ArmBy(&s.timer, left)
	case why == event.CloseClientIdle:
		s.fatal(pgwire.ErrClientIdle.New(""), why)
	default:
		s.cutShort(why)
	}
}

// timeLimit returns the limit that holds for what goes on; 0 is none. Who would lose nothing with its server is idle, pinned or
// not; who would, and has no answer to wait for, keeps it in a transaction, or in a batch whose Sync it has not sent.
func (s *Session) timeLimit() (why event.CloseReason, limit time.Duration) {
	limits := &s.policy.Limits
	if s.server == nil {
		return event.CloseClientIdle, limits.ClientIdle
	}
	if s.link.Outstanding() > 0 {
		return event.CloseQueryTimeout, limits.Query
	}
	switch s.link.Lost(s.loss()) {
	case relay.Unaffected, relay.PinnedLost:
		return event.CloseClientIdle, limits.ClientIdle
	case relay.Requeue, relay.Replay, relay.TransactionLost, relay.OutcomeUnknown, relay.CloseSilently:
	}
	return event.CloseIdleTransaction, limits.IdleTransaction
}

// cutShort ends a client that has had its server for too long. The server is not asked to cancel what it does: it may be
// committing, and would then acknowledge what no standby has. Its connection is closed, and the client is told what is known
// of its work, as if the server had been lost, but that nothing is sent again.
func (s *Session) cutShort(why event.CloseReason) {
	outcome := s.link.Lost(s.loss())
	if outcome == relay.Requeue || outcome == relay.Replay {
		outcome = relay.TransactionLost
	}
	e := pgwire.ErrTimeoutUnknown.New("", why.String())
	if outcome == relay.TransactionLost {
		e = pgwire.ErrQueryTimeout.New("")
		if why == event.CloseIdleTransaction {
			e = pgwire.ErrIdleTransaction.New("")
		}
	}
	s.proxy.cut(s, event.CutTimeout, outcome)
	s.proxy.log.Info("session cut by a time limit", "client", s.facts.id, "user", s.facts.user, "database", s.facts.database,
		"node", string(s.server.Node()), "limit", why.String(), "outcome", outcome.String())
	s.fatal(e, why)
}
