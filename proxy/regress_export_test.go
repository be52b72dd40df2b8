package proxy

import (
	"runtime"
	"time"

	"github.com/pgrouter/pgrouter/reactor"
)

// OnSessions runs f for every client that is logged in, on its loop, and waits for it.
func (p *Proxy) OnSessions(f func(*Session)) {
	for _, m := range p.registry.all() {
		s, ok := m.(*Session)
		if !ok {
			continue
		}
		done := make(chan struct{})
		if s.post(func() { defer close(done); f(s) }) {
			<-done
		}
	}
}

// ClientPaused reports whether the client is not read.
func (s *Session) ClientPaused() bool { return s.upPaused }

// WaitsForAnswers reports whether the client's bytes are kept until the server has answered.
func (s *Session) WaitsForAnswers() bool { return s.upFull }

// Draining reports whether the session is to end with its unit.
func (s *Session) Draining() bool { return s.farewell != nil }

// ServerIO returns the connection of the linked server, nil when there is none.
func (s *Session) ServerIO() *reactor.Conn {
	if s.server == nil {
		return nil
	}
	return s.server.IO
}

// ServerBlocks lets the server's socket be full for a moment.
func (s *Session) ServerBlocks() {
	(*serverEnd)(s).Blocked(s.server.IO)
	(*serverEnd)(s).Drained(s.server.IO)
}

// ClientIO returns the client's connection.
func (s *Session) ClientIO() *reactor.Conn { return s.client }

// MovesSlowly moves an idle client to another loop as migrate does, only that the loop it comes from is slow to note where it is.
// It returns true when the client could have moved on before that.
func (s *Session) MovesSlowly(to *reactor.Loop) (early bool) {
	d := s.client.Detach()
	s.client = nil
	taken := make(chan struct{})
	to.Post(&migration{session: s, conn: d})
	to.Post(reactor.TaskFunc(func(*reactor.Loop) { close(taken) }))
	for slow := time.Now(); !early && time.Since(slow) < slowStep; runtime.Gosched() {
		select {
		case <-taken:
			early = true
		default:
		}
	}
	s.home.Store(to)
	return early
}

const slowStep = 50 * time.Millisecond
