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
	if s.ending {
		return // after Terminate nothing is read
	}
	all, joined := s.up.join(b)
	if st := s.state(); st == stateWaiting || st == statePreparing {
		s.up.keep(all, joined)
		s.countHeld()
		return
	}
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
	if st := s.state(); st == stateWaiting || st == statePreparing {
		s.countHeld()
	}
	s.verify()
}

// Ended: the client shut down its writing side. As in PostgreSQL what it asked for is done and delivered first.
func (e *clientEnd) Ended(*reactor.Conn) {
	s := (*Session)(e)
	s.ending = true
	s.endIfDone()
}

// Blocked: the client does not take what we send; its server is not read until it does.
func (e *clientEnd) Blocked(*reactor.Conn) {
	s := (*Session)(e)
	s.clientFull = true
	if s.server != nil {
		s.server.IO.PauseRead()
	}
}

// Drained: the client has taken everything.
func (e *clientEnd) Drained(*reactor.Conn) {
	s := (*Session)(e)
	s.clientFull = false
	if s.server != nil {
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
	v := s.link.FromClient(b)
	if v.N > 0 {
		s.forward(b[:v.N])
		b = b[v.N:]
	}
	switch v.Verb {
	case relay.Drop:
		return b[v.Skip:], true
	case relay.Insert:
		s.server.IO.Send(s.link.Insertion())
		return b, true
	case relay.UnitEnd:
		return b, s.finishUnit()
	case relay.Terminate:
		s.ending = true
		s.endIfDone()
		return nil, false
	case relay.Refuse:
		s.fatal(v.Fault, event.CloseProtocol)
		return nil, false
	case relay.Full:
		s.pauseClient()
	default: // More: all is sent
	}
	return b, false
}

// forward sends bytes of the client's to its server, and keeps them as long as the unit is short.
func (s *Session) forward(b []byte) {
	if !s.unitSent {
		s.unitSent = true
		s.unitMark = s.server.IO.Sent() + uint64(s.server.IO.Unsent())
	}
	if s.keptAll {
		if len(s.kept)+len(b) <= keptLimit {
			s.kept = append(s.kept, b...)
		} else {
			s.keptAll, s.kept = false, s.kept[:0]
		}
	}
	s.server.IO.Send(b)
}

// pauseClient stops reading the client until its server has answered or it has got one.
func (s *Session) pauseClient() {
	s.upPaused = true
	s.client.PauseRead()
}

func (s *Session) resumeClient() {
	if s.upPaused && !s.serverFull {
		s.upPaused = false
		s.client.ResumeRead()
	}
}

// endIfDone closes a client that has said good-bye once nothing is owed to it.
func (s *Session) endIfDone() {
	switch s.state() {
	case stateIdle:
		s.close(event.CloseByClient)
	case stateLinked:
		if s.link.Outstanding() == 0 {
			s.close(event.CloseByClient)
		}
	case stateWaiting, statePreparing, stateClosed: // its unit is finished first
	}
}
