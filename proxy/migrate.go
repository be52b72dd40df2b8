package proxy

import (
	"runtime"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/reactor"
)

// Clients are packed on few event loops, because a loop that has much to do at each turn does it cheaply. One whose loop has
// too much to do moves to another when a unit of work begins, and back when both have little.
const (
	moveAfter    = 64                    // units between two looks of one client
	movePause    = 20 * time.Millisecond // between two moves off one loop: its load has to be seen again first
	busyTooMuch  = 0.75
	busyRelief   = 0.25 // how much less the other loop must have to do
	busyTogether = 0.6  // what two loops may have to do so that one is enough
)

// migration brings a client to another loop.
type migration struct {
	session *Session
	conn    *reactor.Detached
}

// relief returns the loop on which the session would be better off, nil when it is well where it is.
func (p *Proxy) relief(s *Session) *reactor.Loop {
	s.sinceLook++
	if s.sinceLook < moveAfter || len(p.deps.Reactor.Loops()) == 1 {
		return nil
	}
	s.sinceLook = 0
	here, there := s.loop, p.deps.Reactor.Pick()
	if there == here {
		return nil
	}
	away := here.Busy() >= busyTooMuch && there.Busy() <= here.Busy()-busyRelief
	back := there.ID() < here.ID() && there.Busy()+here.Busy() <= busyTogether
	if !away && !back || !p.mayMove(here) {
		return nil
	}
	return there
}

// mayMove spaces the moves off one loop.
func (p *Proxy) mayMove(from *reactor.Loop) bool {
	last := &p.moved[from.ID()]
	before, now := last.Load(), from.Now()
	return now-before >= int64(movePause) && last.CompareAndSwap(before, now)
}

// migrate moves an idle client, with what it has just sent, to another loop (I9). It returns false when it cannot.
func (s *Session) migrate(to *reactor.Loop) bool {
	d := s.client.Detach()
	if d == nil {
		return false
	}
	s.stopTimer()
	s.client = nil
	s.proxy.metrics.moves.Add(1)
	if !to.Post(&migration{session: s, conn: d}) {
		d.Close()
		s.move(stateClosed)
		s.proxy.forget(s, event.CloseShutdown)
		return true
	}
	s.home.Store(to) // after the post: what others post from now on comes behind it
	return true
}

// Run takes the client in (reactor.Task). The loop that it comes from may be a step behind: until it has noted where the client
// is, the client must not move on, or it would be looked for there for ever.
func (m *migration) Run(l *reactor.Loop) {
	s := m.session
	for s.home.Load() != l {
		runtime.Gosched()
	}
	s.loop, s.waiter.Loop = l, l
	s.traffic = s.proxy.trafficOn(l, s.facts.database)
	s.client = l.Adopt(m.conn, (*clientEnd)(s))
	s.spoke()
	s.refeed()
}

// errand is something that another goroutine wants done on the session's loop.
type errand struct {
	session *Session
	do      func()
}

// Run does it, or sends it after a session that has moved on (reactor.Task).
func (e *errand) Run(l *reactor.Loop) {
	if home := e.session.home.Load(); home != l {
		home.Post(e)
		return
	}
	e.do()
}

// post runs do on the session's loop. It returns false when the loops have ended. Any goroutine.
func (s *Session) post(do func()) bool { return s.home.Load().Post(&errand{session: s, do: do}) }
