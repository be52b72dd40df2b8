package proxy

import (
	"context"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/relay"
	"github.com/pgrouter/pgrouter/topology"
)

// Kill closes every client of the databases that are meant, by the names that clients use, and returns how many there were.
// Logins under way are clients, consoles are not. Any goroutine.
func (p *Proxy) Kill(meant func(database string) bool) int {
	n := 0
	for _, m := range p.registry.clients() {
		if meant(m.Info().Database) {
			m.Close(event.CloseKilled)
			n++
		}
	}
	return n
}

// KillClient closes one client, by its number in Clients; false: there is none. Any goroutine.
func (p *Proxy) KillClient(id uint64) bool {
	m := p.registry.member(id)
	if m == nil {
		return false
	}
	m.Close(event.CloseKilled)
	return true
}

// end ends a session although something may be under way. What was sent and not answered may have been done: then the client is
// not told that it was not.
func (s *Session) end(why event.CloseReason) {
	e := closeError(why)
	if s.server != nil {
		switch outcome := s.link.Lost(s.loss()); outcome {
		case relay.Unaffected, relay.PinnedLost, relay.Requeue, relay.Replay: // no work is lost
		case relay.OutcomeUnknown:
			e = pgwire.ErrOutcomeUnknown.New(e.Detail)
			s.proxy.cut(s, cutReason(why), outcome)
		case relay.TransactionLost, relay.CloseSilently:
			s.proxy.cut(s, cutReason(why), outcome)
		}
	}
	s.fatal(e, why)
}

// cutReason says why a session that ends loses its server.
func cutReason(why event.CloseReason) event.CutReason {
	if why == event.CloseShutdown {
		return event.CutShutdown
	}
	return event.CutKilled
}

// Holder is a client that has a server.
type Holder struct {
	Client         uint64 // its number in Clients
	User, Database string
	Remote         string
	Application    string
	Node           topology.NodeID
	PID            uint32 // of the server process
	Since          time.Time
}

// Holders tells which clients of the databases that are meant have a server now, as far as their loops answer before ctx ends. Any
// goroutine that may block.
func (p *Proxy) Holders(ctx context.Context, meant func(database string) bool) []Holder {
	var busy []*Session
	for _, m := range p.registry.clients() {
		if s, ok := m.(*Session); ok && s.holds() && meant(s.facts.database) {
			busy = append(busy, s)
		}
	}
	answers := make(chan *Holder, len(busy)) // no loop waits
	asked := 0
	for _, s := range busy {
		if s.post(func() { answers <- s.holder() }) {
			asked++
		}
	}
	var all []Holder
	for range asked {
		select {
		case h := <-answers:
			if h != nil {
				all = append(all, *h)
			}
		case <-ctx.Done():
			return all
		}
	}
	return all
}

// holds reports whether the session has a server, most likely. Any goroutine.
func (s *Session) holds() bool {
	st := s.state()
	return st == stateLinked || st == statePreparing || st == stateSettling
}

// holder describes the session as the holder of a server, nil when it has none.
func (s *Session) holder() *Holder {
	if s.server == nil {
		return nil
	}
	return &Holder{
		Client: s.facts.id, User: s.facts.user, Database: s.facts.database, Remote: s.facts.remote, Application: s.facts.app,
		Node: s.server.Node(), PID: s.server.Conn.PID, Since: time.Now().Add(-s.server.HeldFor()),
	}
}
