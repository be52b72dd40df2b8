package proxy

import (
	"bytes"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/relay"
)

// Received takes bytes from the linked server.
func (e *serverEnd) Received(_ *reactor.Conn, b []byte) {
	s := (*Session)(e)
	s.scratch().begin()
	s.relayAnswer(b)
	s.verify()
}

// relayAnswer passes what the server has sent, and follows what it means.
func (s *Session) relayAnswer(b []byte) {
	all, joined := s.down.join(b)
	owed := s.link.Owed()
	rest, reached, mine := s.follow(all)
	if !mine {
		return
	}
	s.down.keep(rest, joined)
	s.account()
	if s.link.Owed() < owed {
		s.spoke()
	}
	switch {
	case reached == relay.PreludeDone:
		if !s.preludeDone() {
			return
		}
	case reached == relay.UnitEnd && s.link.Outstanding() == 0:
		s.unitEnded()
		return
	case reached == relay.Settle:
		s.settleUnit()
		return
	case reached == relay.Settled, reached == relay.SettleFailed:
		s.unitSettled(reached)
		return
	case reached == relay.Again:
		s.heal()
		return
	}
	s.afterAnswer()
}

// follow goes through what the server has sent, and returns what is not whole. reached is the verb that ends something when that has
// come: it counts when all is read, because nothing behind it answers what is asked then. mine is false when the server is not the
// session's any more.
func (s *Session) follow(all []byte) (rest []byte, reached relay.Verb, mine bool) {
	for len(all) > 0 {
		v := s.link.FromServer(all)
		if v.Verb == relay.Fatal {
			s.serverFatal(all[:v.N], all[v.N:v.N+v.Skip])
			return nil, reached, false
		}
		if v.Verb == relay.Dying {
			if s.serverDying() {
				return nil, reached, false
			}
			v.N, v.Skip = v.N+v.Skip, 0
		}
		if v.N > 0 {
			s.traffic.BytesSent += uint64(v.N)
			s.client.Send(all[:v.N])
			all = all[v.N:]
		}
		if v.Verb == relay.More {
			break
		}
		msg := all[:v.Skip]
		all = all[v.Skip:]
		if endsSomething(v.Verb) {
			reached = v.Verb
			continue
		}
		if !s.serverSaid(v.Verb, msg) {
			return nil, reached, false
		}
	}
	return all, reached, true
}

func endsSomething(verb relay.Verb) bool {
	return verb == relay.UnitEnd || verb == relay.PreludeDone || verb == relay.Again ||
		verb == relay.Settle || verb == relay.Settled || verb == relay.SettleFailed
}

// serverSaid follows a verdict. It returns false when the server is not the session's any more.
func (s *Session) serverSaid(verb relay.Verb, msg []byte) bool {
	switch verb {
	case relay.Drop:
		return true
	case relay.Row:
		s.postludeRow(msg)
		return true
	case relay.Replace:
		s.say(bytes.Clone(s.link.Replacement()))
		return true
	case relay.PreludeFailed:
		s.preludeFailed(msg)
		return false
	case relay.Demoted:
		s.fatal(pgwire.ErrNodeDemoted.New(""), event.CloseCut)
		return false
	case relay.Violation:
		s.proxy.violation(s.place, s.server)
		s.serverLost(event.CutProtocol)
		return false
	default: // More: wait for the rest. UnitEnd, PreludeDone, Again, Fatal and Dying are the caller's
		return true
	}
}

// afterAnswer looks after a client whose server has answered something, but not ended the unit.
func (s *Session) afterAnswer() {
	switch {
	case s.state() != stateLinked || s.link.Outstanding() > 0:
	case s.policy.Mode == ModeStatement && s.link.Status() != relay.StatusIdle:
		s.fatal(pgwire.ErrStatementModeTransaction.New(""), event.CloseProtocol)
	case s.ending:
		s.depart()
	}
	s.resumeFed()
}

// resumeFed goes on with what had to wait because too much was outstanding.
func (s *Session) resumeFed() {
	if s.state() == stateLinked && s.upPaused && s.link.Outstanding() == 0 {
		s.resumeClient()
		s.refeed()
	}
}

// refeed uses what is kept of the client's bytes, and heeds that no more may come.
func (s *Session) refeed() {
	if s.up.len() > 0 || s.departed {
		s.up.keep(s.feed(s.up.pending()), true)
	}
	s.countHeld()
}

// Ended: the server closed the connection without a word.
func (e *serverEnd) Ended(*reactor.Conn) { (*Session)(e).lostQuietly() }

// Failed: the connection to the server broke.
func (e *serverEnd) Failed(*reactor.Conn, error) { (*Session)(e).lostQuietly() }

func (s *Session) lostQuietly() {
	s.serverLost(event.CutServerClosed)
	s.verify()
}

// Blocked: the server does not take what we send; the client is not read until it does.
func (e *serverEnd) Blocked(*reactor.Conn) {
	s := (*Session)(e)
	s.serverFull = true
	s.pauseClient()
}

// Drained: the server has taken everything.
func (e *serverEnd) Drained(*reactor.Conn) {
	s := (*Session)(e)
	s.serverFull = false
	s.resumeClient()
}

// unitEnded: the unit of work is over, and the client goes on.
func (s *Session) unitEnded() {
	if s.finishUnit() {
		s.resumeClient()
		s.refeed()
	}
}

// finishUnit ends a unit of work: the server goes back, or stays with a session that needs it. It returns false when the
// client ends with it.
func (s *Session) finishUnit() bool {
	s.units.Add(1)
	s.server.Served = true
	if s.link.Promoted() && s.server.Conn.HotStandby {
		s.server.Promoted()
	}
	s.resetUnit()
	s.waitSince = 0
	s.showPin()
	switch {
	case s.ending:
		s.depart()
		return false
	case s.farewell != nil:
		s.fatal(s.farewell.words, s.farewell.why)
		return false
	case !s.link.Movable() && s.leaving != event.CutNone:
		s.link.NextUnit()
		s.serverLost(s.leaving)
		return false
	case s.link.Pinned() != event.PinNone && s.leaving == event.CutNone:
		s.link.NextUnit()
		s.server.Rest()
	default:
		s.unlink(s.leftServer())
		s.move(stateIdle)
	}
	if s.outdated() {
		s.renew()
	}
	return s.state() != stateClosed
}

// resetUnit forgets what was kept of a unit that has ended or is lost.
func (s *Session) resetUnit() {
	s.keptAll, s.unitSent, s.replayed, s.healed = true, false, false, false
	s.clock = stopwatch{}
	s.kept = s.kept[:0]
	if cap(s.kept) > tailKept {
		s.kept = nil
	}
}
