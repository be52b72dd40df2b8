package proxy

import (
	"sync/atomic"

	"github.com/pgrouter/pgrouter/relay"
	"github.com/pgrouter/pgrouter/state"
)

// Statement returns the statement that a Parse makes under the client's settings of now (relay.Library).
func (s *Session) Statement(parse []byte) *state.Statement {
	if len(parse) == 0 {
		return s.proxy.prepared.Unshared()
	}
	return s.proxy.prepared.Intern(s.vector.Scope(), s.place.generation.Load(), parse)
}

// Alone returns a statement that is nobody else's (relay.Library).
func (s *Session) Alone(parse []byte) *state.Statement { return s.proxy.prepared.Alone(parse) }

// Altered notes that tables may have changed: what is parsed from now on is another statement than before (relay.Library).
func (s *Session) Altered() { s.place.generation.Add(1) }

// Again reports whether the unit can be sent once more, to the same server (relay.Library).
func (s *Session) Again() bool {
	return s.keptAll && s.unitSent && !s.healed && s.state() == stateLinked
}

// heal sends the unit once more: it has failed at a statement that is parsed anew now.
func (s *Session) heal() {
	s.takeBack()
	s.healed = true
	s.link.NextUnit()
	s.resumeClient()
	s.refeed()
}

// statementCounters counts what the router does for named statements.
type statementCounters struct{ injected, evicted, healed, replayed atomic.Uint64 }

// accountStatements adds what the link has counted, and lets others see how many statements there are.
func (s *Session) accountStatements(n relay.Tally) {
	if have := uint32(s.link.Statements()); have != s.prepared.Load() {
		s.prepared.Store(have)
	}
	s.server.CountPrepared()
	if n.Injected|n.Evictions|n.Heals|n.Replays == 0 {
		return
	}
	c := &s.proxy.metrics.statements
	c.injected.Add(uint64(n.Injected))
	c.evicted.Add(uint64(n.Evictions))
	c.healed.Add(uint64(n.Heals))
	c.replayed.Add(uint64(n.Replays))
}

// joinLimit is the size in bytes up to which what the client has sent is copied behind what was put together for it: a copy of that
// costs less than a second piece.
const joinLimit = 2048

// scratchKept is the size in bytes of the scratch that a loop keeps.
const scratchKept = 64 * 1024

// scratch is where a loop puts together what its sessions send in the place of their clients' bytes. What was added lives until the
// callback is over.
type scratch struct {
	buf []byte
	_   [40]byte // the scratch of another loop is on another cache line
}

// begin empties the scratch: what the last callback has sent is gone, or the loop has a copy.
func (c *scratch) begin() {
	if cap(c.buf) > scratchKept {
		c.buf = nil
	}
	c.buf = c.buf[:0]
}

// add returns a copy of b.
func (c *scratch) add(b []byte) []byte {
	at := len(c.buf)
	c.buf = append(c.buf, b...)
	return c.buf[at:]
}

// scratch returns that of the session's loop.
func (s *Session) scratch() *scratch { return &s.proxy.scratches[s.loop.ID()] }
