package proxy

import "github.com/pgrouter/pgrouter/reactor"

// MoveAlways makes every client change its event loop at every unit of work.
func (p *Proxy) MoveAlways() {
	loops := p.deps.Reactor.Loops()
	p.betterOff = func(s *Session) *reactor.Loop { return loops[(s.loop.ID()+1)%len(loops)] }
}

// Moves returns how many clients have changed their loop.
func (p *Proxy) Moves() uint64 { return p.metrics.moves.Load() }
