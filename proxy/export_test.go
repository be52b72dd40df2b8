package proxy

import (
	"weak"

	"github.com/pgrouter/pgrouter/reactor"
)

// MoveAlways makes every client change its event loop at every unit of work.
func (p *Proxy) MoveAlways() {
	loops := p.deps.Reactor.Loops()
	p.betterOff = func(s *Session) *reactor.Loop { return loops[(s.loop.ID()+1)%len(loops)] }
}

// Places returns what tells, for each place that a client who is logged in uses now, whether it is in memory still.
func (p *Proxy) Places() (inMemory []func() bool) {
	p.OnSessions(func(s *Session) {
		pl := weak.Make(s.place)
		inMemory = append(inMemory, func() bool { return pl.Value() != nil })
	})
	return inMemory
}

// Moves returns how many clients have changed their loop.
func (p *Proxy) Moves() uint64 { return p.metrics.moves.Load() }
