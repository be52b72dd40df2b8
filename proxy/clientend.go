package proxy

import (
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/relay"
)

// Received takes bytes from the client.
func (e *clientEnd) Received(_ *reactor.Conn, b []byte) {
	s := (*Session)(e)
	s.scratch().begin()
	if s.ending {
		return // after Terminate nothing is read
	}
	s.traffic.BytesReceived += uint64(len(b))
	all, joined := s.up.join(b)
	if s.waits() {
		s.up.keep(all, joined)
		s.countHeld()
		return
	}
	s.spoke()
	if s.state() == stateIdle {
		if to := s.proxy.betterOff(s); to != nil {
			s.up.keep(all, joined)
			if s.migrate(to) {
				return // the session is another loop's now
			}
			all, joined = s.up.pending(), true
		}
	}
	s.up.keep(s.feed(all), joined)
	s.countHeld()
	s.verify()
}

// Ended: the client shut down its writing side. As in PostgreSQL what it asked for is done and delivered first.
func (e *clientEnd) Ended(*reactor.Conn) {
	s := (*Session)(e)
	s.departed = true
	s.endIfFed()
}

// Blocked: the client does not take what we send; its server is not read until it does.
func (e *clientEnd) Blocked(*reactor.Conn) {
	s := (*Session)(e)
	s.clientFull = true
	s.throttle()
}

// Drained: the client has taken everything, or never will.
func (e *clientEnd) Drained(*reactor.Conn) {
	s := (*Session)(e)
	s.clientFull = false
	if !s.client.Open() { // sending has failed: what else it has sent cannot be answered
		s.close(event.CloseClientReset)
		return
	}
	s.throttle()
}

// throttle lets the server be read while the client takes what it says. What the router has asked for itself is not the client's: it is
// always read.
func (s *Session) throttle() {
	switch {
	case s.server == nil:
	case s.clientFull && s.state() == stateLinked:
		s.server.IO.PauseRead()
	default:
		s.server.IO.ResumeRead()
	}
}

// Failed: the client is gone.
func (e *clientEnd) Failed(*reactor.Conn, error) {
	(*Session)(e).close(event.CloseClientReset)
	(*Session)(e).verify()
}

// feed uses what the client has sent, as far as it can, and returns the rest.
func (s *Session) feed(b []byte) []byte {
	for len(b) > 0 && s.state() != stateClosed {
		var more bool
		if s.server == nil {
			b, more = s.begin(b)
		} else {
			b, more = s.upstream(b)
		}
		if !more {
			break
		}
	}
	s.endIfFed()
	return b
}

// begin reads the first message of a unit and finds it a server. more is false when the rest has to wait.
func (s *Session) begin(b []byte) (rest []byte, more bool) {
	v := s.link.Begin(b)
	switch v.Verb {
	case relay.Drop:
		return b[v.Skip:], true
	case relay.Ready:
		s.say(pgwire.AppendReadyForQuery(nil, pgwire.StatusIdle))
		return b[v.Skip:], true
	case relay.Terminate:
		s.close(event.CloseByClient)
		return nil, false
	case relay.Refuse:
		s.fatal(v.Fault, event.CloseProtocol)
		return nil, false
	case relay.Start:
		return b, s.acquire()
	default: // More: the message is not whole
		return b, false
	}
}

// upstream passes what the client has sent to its server.
func (s *Session) upstream(b []byte) (rest []byte, more bool) {
	s.upFull = false
	v := s.link.FromClient(b)
	if v.N > 0 {
		s.forward(b[:v.N])
		b = b[v.N:]
	}
	switch v.Verb {
	case relay.Drop:
		return b[v.Skip:], true
	case relay.Insert:
		s.server.IO.Send(s.scratch().add(s.link.Insertion(s.vector)))
		return b, true
	case relay.Replace:
		s.pinRefused(v.Pin)
		s.keep(b[:v.Skip])
		s.server.IO.Send(s.scratch().add(s.link.Replacement()))
		return b[v.Skip:], true
	case relay.UnitEnd:
		return b, s.finishUnit()
	case relay.Terminate:
		s.ending = true
		return nil, false
	case relay.Refuse:
		s.ending, s.fault = true, v.Fault
		return nil, false
	case relay.Full:
		s.waitForAnswers()
	default: // More: all is sent
	}
	return b, false
}

// forward sends bytes of the client's to its server. Few of them join what was put together before, so that all go in one piece.
func (s *Session) forward(b []byte) {
	s.keep(b)
	if c := s.scratch(); len(c.buf) > 0 && len(b) <= joinLimit {
		b = c.add(b)
	}
	s.server.IO.Send(b)
}

// keep keeps what the client has sent of a unit as long as that is short: its own bytes, whatever its server gets in their place.
func (s *Session) keep(b []byte) {
	if !s.unitSent {
		s.unitSent = true
		s.server.Work()
		s.unitMark = s.server.IO.Sent() + uint64(s.server.IO.Unsent())
	}
	s.clock.asked(s.loop.Now())
	if s.keptAll {
		if len(s.kept)+len(b) <= keptLimit {
			s.kept = append(s.kept, b...)
		} else {
			s.keptAll, s.kept = false, s.kept[:0]
		}
	}
}

// pauseClient stops reading the client until its server has answered or it has got one.
func (s *Session) pauseClient() {
	s.upPaused = true
	s.client.PauseRead()
}

// waitForAnswers keeps what the client has sent until the server has answered all that was sent before. A server keeps answers
// back until it is asked for them, and what asks may stand behind what is kept.
func (s *Session) waitForAnswers() {
	s.upFull = true
	s.pauseClient()
	s.server.IO.Send(pgwire.AppendFlush(nil))
}

func (s *Session) resumeClient() {
	waits := s.serverFull || s.upFull && s.link.Outstanding() > 0
	if s.upPaused && !waits {
		s.upPaused = false
		s.client.ResumeRead()
	}
}

// endIfFed ends a client that sends no more, when all that it has sent is used.
func (s *Session) endIfFed() {
	kept := s.upFull || s.waits()
	if s.ending || s.departed && !kept {
		s.ending = true
		s.endIfDone()
	}
}

// depart ends a client that has said good-bye, or has broken the protocol, when nothing is owed to it any more.
func (s *Session) depart() {
	if s.fault != nil {
		s.fatal(s.fault, event.CloseProtocol)
		return
	}
	s.close(event.CloseByClient)
}

// endIfDone ends such a client if nothing is owed to it.
func (s *Session) endIfDone() {
	switch s.state() {
	case stateIdle:
		s.depart()
	case stateLinked:
		switch {
		case s.link.Outstanding() == 0:
			s.depart()
		case s.link.MidMessage():
			s.dismissServer()
		default:
			s.endCopy()
		}
	case stateWaiting, statePreparing, stateSettling, stateClosed: // its unit is finished first
	}
}

// endCopy ends the COPY that the client has left, or that is about to begin: the server would wait for its rest for ever. In
// the middle of anything else it reads over that.
func (s *Session) endCopy() {
	if s.copyEnded {
		return
	}
	s.copyEnded = true
	why := "the client has gone"
	if s.fault != nil {
		why = "the client has broken the protocol"
	}
	copyFail := pgwire.AppendCopyFail(nil, why)
	if v := s.link.FromClient(copyFail); v.N == len(copyFail) && v.Verb == relay.More {
		s.server.IO.Send(copyFail)
		return
	}
	s.dismissServer()
}

// dismissServer lets the server see that its client sends no more, as it would without a router: it ends where it would wait
// for the rest of a batch or a message for ever.
func (s *Session) dismissServer() {
	if s.dismissed {
		return
	}
	s.dismissed = true
	if s.fault != nil { // PostgreSQL's last word would bring what is answered
		s.server.IO.Send(pgwire.AppendFlush(nil))
	}
	s.server.IO.CloseWrite()
	s.server.IO.SetHandler((*dismissedEnd)(s))
}

// dismissedEnd is a server that was dismissed: its end is no loss.
type dismissedEnd Session

// Received takes the last answers.
func (e *dismissedEnd) Received(c *reactor.Conn, b []byte) { (*serverEnd)(e).Received(c, b) }

// Ended: the server has seen the end of the client.
func (e *dismissedEnd) Ended(*reactor.Conn) {
	(*Session)(e).depart()
	(*Session)(e).verify()
}

// Failed: as another server's.
func (e *dismissedEnd) Failed(c *reactor.Conn, err error) { (*serverEnd)(e).Failed(c, err) }

// Blocked and Drained: nothing more is sent to it.
func (e *dismissedEnd) Blocked(*reactor.Conn) {}

// Drained see Blocked.
func (e *dismissedEnd) Drained(*reactor.Conn) {}
