package proxy

import (
	"time"
	"weak"

	"github.com/pgrouter/pgrouter/event"
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

// Pass lets time go by for every client that is logged in: what goes on began so much earlier.
func (p *Proxy) Pass(d time.Duration) {
	p.OnSessions(func(s *Session) {
		s.since -= int64(d)
		if s.waitSince != 0 {
			s.waitSince -= int64(d)
		}
		s.Expired(s.loop, &s.timer)
	})
}

// TimerRuns reports whether the session's timer is armed.
func (s *Session) TimerRuns() bool { return s.timer.Armed() }

// Keys returns how many cancel keys are known.
func (p *Proxy) Keys() int {
	p.cancels.mu.Lock()
	defer p.cancels.mu.Unlock()
	return len(p.cancels.mu.byPID)
}

// Forwarded returns how many cancel requests were sent on to servers.
func (p *Proxy) Forwarded() uint64 { return p.metrics.cancels[cancelForwarded].Load() }

// Pins returns how many sessions were pinned for a reason.
func (p *Proxy) Pins(why event.PinReason) uint64 { return p.metrics.pins[why].Load() }

// TrafficDatabases is how many databases have counters of their own.
const TrafficDatabases = trafficDatabases

// CountLogins counts logins to databases on a loop that nobody runs, and returns the sums.
func CountLogins(run func(login func(database string))) []DatabaseTraffic {
	p := &Proxy{meters: make([]meter, 1)}
	run(func(database string) { p.meters[0].of(database).ClientLogins++ })
	p.meters[0].say()
	return p.trafficSaid()
}

// Fill lets the sockets of all clients take no more, or take what they are sent again.
func (p *Proxy) Fill(full bool) {
	p.OnSessions(func(s *Session) {
		if full {
			(*clientEnd)(s).Blocked(s.client)
		} else {
			(*clientEnd)(s).Drained(s.client)
		}
	})
}

// Departed reports whether the client has said that it sends no more.
func (s *Session) Departed() bool { return s.departed }

// PostludeWaits reports whether a cancel request keeps the session from asking its server.
func (s *Session) PostludeWaits() bool { return s.link.PostludeDue() }
