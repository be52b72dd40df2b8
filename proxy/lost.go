package proxy

import (
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/relay"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// Cut takes the server away from a session (pool.Holder): another primary is proven, or an operator wants it.
func (s *Session) Cut(server *pool.Server, why event.CutReason) {
	switch {
	case s.server != server:
	case (why == event.CutSwitchover || why == event.CutStandInOver) && !s.resting():
		s.leaving = why // its unit ends first
	default:
		s.serverLost(why)
	}
	s.verify()
}

// resting reports whether the session keeps a server on which nothing is under way.
func (s *Session) resting() bool {
	return s.state() == stateLinked && s.link.Outstanding() == 0 && s.link.Status() == relay.StatusIdle && !s.link.MidMessage()
}

// serverFatal: the server said FATAL and goes. before is what came in front of it and has not been forwarded: of a read that
// is replayed the client sees nothing. Where nothing is under way any more it is the client's all the same.
func (s *Session) serverFatal(before, msg []byte) {
	if s.link.Lost(s.loss()) == relay.Unaffected && s.state() == stateLinked {
		s.say(before)
	}
	s.lose(event.CutServerFatal, afterFatal(msg), append(append([]byte(nil), before...), msg...))
}

// serverDying: the server has warned that it is about to end, as it does when another one beside it has crashed. Of a read that
// can be replayed the client sees nothing. It returns false when the client is to see everything, and the server's end is
// awaited.
func (s *Session) serverDying() bool {
	if outcome := s.link.Lost(s.loss()); outcome != relay.Replay && outcome != relay.Requeue {
		s.link.Shown()
		return false
	}
	s.serverLost(event.CutServerClosed)
	return true
}

// ReadOnly judges a server's refusal to write (relay.Observer): 25006 on the way to the primary. When its node is known not to be
// the primary any more the client must not see that. Else it is most likely the client's own affair (BEGIN READ ONLY); all the same
// the node is looked at now, and nobody else gets this server. A standby that stands in for the primary refuses as the operator wants
// it (no_primary), until a primary is proven.
func (s *Session) ReadOnly() (demoted bool) {
	if s.place.route != routing.Primary {
		return false
	}
	if s.server.Conn.Target.WantStandby {
		snap := s.proxy.snapshot(s.place.cluster)
		return snap != nil && snap.Primary != ""
	}
	s.server.Retire()
	s.proxy.deps.Trouble(s.place.cluster, s.server.Node())
	snap := s.proxy.snapshot(s.place.cluster)
	return snap != nil && snap.Primary != s.server.Node()
}

// Stray takes the server out of use when the client has done with it: it listens for somebody else (relay.Observer).
func (s *Session) Stray() { s.server.Retire() }

// loss is what is known of the server's loss beyond the link's state.
func (s *Session) loss() relay.Loss {
	return relay.Loss{
		Accepted: s.unitSent && s.server.IO.Sent() > s.unitMark,
		Kept:     s.keptAll,
		Replayed: s.replayed,
		NoReplay: s.proxy.config().NoReplay,
		Promoted: s.promoted(),
	}
}

// promoted reports whether the server's node is a primary now. Sessions live on over a promotion, and may write behind it.
func (s *Session) promoted() bool {
	snap := s.proxy.snapshot(s.place.cluster)
	if snap == nil {
		return false
	}
	node := snap.Node(s.server.Node())
	return node != nil && node.Role == topology.RolePrimary
}

// serverLost follows the contract for a session whose server ended without a word, or had to be cut.
func (s *Session) serverLost(why event.CutReason) {
	how := pool.Broken
	if why == event.CutServerClosed {
		how = pool.Lost
	}
	s.lose(why, how, nil)
}

// lose follows the contract (docs/errors.md) for a session whose server is gone. said is what the server sent last, its FATAL
// at the end, nil when it said nothing: it is forwarded verbatim unless the client need not know.
func (s *Session) lose(why event.CutReason, how pool.Outcome, said []byte) {
	outcome := s.link.Lost(s.loss())
	if outcome == relay.Unaffected && s.state() == statePreparing { // its unit was about to be sent
		outcome = relay.Requeue
	}
	if outcome == relay.Requeue {
		s.server.Useless()
	}
	pin := s.link.Pinned()
	if s.link.Settling() && pin == event.PinNone {
		pin = event.PinUncertain
	}
	s.proxy.cut(s, why, outcome)
	s.proxy.deps.Trouble(s.place.cluster, s.server.Node())
	s.unlink(how)
	s.move(stateIdle)
	switch outcome {
	case relay.Unaffected:
		if f := s.farewell; f != nil {
			s.fatal(f.words, f.why)
			return
		}
		s.resetUnit()
		s.waitSince = 0
		s.resumeClient()
		s.refeed()
		if s.ending {
			s.endIfDone()
		}
	case relay.Requeue:
		s.again(false)
	case relay.Replay:
		s.again(true)
	default:
		s.tellLost(outcome, pin, said)
	}
}

// afterFatal says how a server is given back that has said FATAL.
func afterFatal(msg []byte) pool.Outcome {
	if e, err := pgwire.ParseError(msg[pgwire.HeaderLen:]); err == nil {
		return pool.AfterFatal(e)
	}
	return pool.Broken
}

// tellLost ends a session whose work could not be saved.
func (s *Session) tellLost(outcome relay.Outcome, pin event.PinReason, said []byte) {
	if outcome == relay.CloseSilently {
		s.close(event.CloseCut)
		return
	}
	if said != nil {
		s.say(said)
		s.close(event.CloseCut)
		return
	}
	switch outcome {
	case relay.TransactionLost:
		s.fatal(pgwire.ErrTransactionLost.New(""), event.CloseCut)
	case relay.PinnedLost:
		s.fatal(pgwire.ErrPinnedServerLost.New("", pin.String()), event.CloseCut)
	case relay.OutcomeUnknown, relay.Unaffected, relay.Requeue, relay.Replay, relay.CloseSilently:
		s.fatal(pgwire.ErrOutcomeUnknown.New(""), event.CloseCut)
	}
}

// takeBack puts what was sent of the unit in front of what was not.
func (s *Session) takeBack() {
	unit := append(append([]byte(nil), s.kept...), s.up.pending()...)
	s.up.clear()
	s.up.keep(unit, false)
	s.resetUnit()
}

// again sends the unit a second time, ahead of the others: nothing of it was accepted, or it was a read on a standby of
// which the client has seen nothing.
func (s *Session) again(replay bool) {
	s.takeBack()
	s.replayed = replay
	if s.waitSince == 0 { // the limits count from the first loss
		s.waitSince = s.loop.Now()
	}
	s.waiter.Front = true
	s.resumeClient()
	s.refeed()
	s.waiter.Front = false
}
