package pool

import (
	"fmt"
)

// closeReason says why a server connection was closed. The name is the metric's label.
type closeReason uint8

const (
	closedBroken    closeReason = iota // its holder said so
	closedIdle                         // idle_timeout
	closedLifetime                     // lifetime
	closedStale                        // its node has another life, role or address, or is gone
	closedByServer                     // the server ended an idle connection
	closedParameter                    // the server's configuration changed
	closedProtocol                     // it sent what nobody asked for
	closedReset                        // the reset failed or took too long
	closedCut                          // Cut
	closedShutdown                     // the pool closes
	closedPaused                       // its database is paused
	closedReconnect                    // Reconnect
	closedDoubtful                     // another one of its node was lost
	closedEvicted                      // a limit had no room for somebody else's
	closedSurplus                      // there are more than size and reserve_size
	closedUseless                      // it ended before it had served anybody
	closedFallback                     // standbys serve the reads again for which a primary stood in
	closedLate                         // nobody wanted it when it was open
	closeReasons
)

func (r closeReason) String() string {
	switch r {
	case closedBroken:
		return "broken"
	case closedIdle:
		return "idle_timeout"
	case closedLifetime:
		return "lifetime"
	case closedStale:
		return "stale"
	case closedByServer:
		return "by_server"
	case closedParameter:
		return "parameter"
	case closedProtocol:
		return "protocol"
	case closedReset:
		return "reset"
	case closedCut:
		return "cut"
	case closedShutdown:
		return "shutdown"
	case closedPaused:
		return "paused"
	case closedReconnect:
		return "reconnect"
	case closedDoubtful:
		return "doubtful"
	case closedEvicted:
		return "evicted"
	case closedSurplus:
		return "surplus"
	case closedUseless:
		return "useless"
	case closedFallback:
		return "fallback_over"
	case closedLate, closeReasons:
	}
	return "late"
}

// addLocked is the only birth of a server: an open connection gets on its shelf, idle.
func (q *Queue) addLocked(s *Server, now int64) {
	q.mu.count.born++
	q.moveLocked(s, stateIdle, now)
}

// removeLocked is the only death: s leaves its list for ever, and whom it was promised to gets his old place back. The caller
// closes the connection, then lets fillLocked use the room.
func (q *Queue) removeLocked(s *Server, why closeReason) {
	if w := s.claim; w != nil {
		q.takeBackLocked(s, w)
	}
	s.moving = false
	s.retiring.Store(true)
	q.moveLocked(s, stateClosed, 0)
	q.pool.limits.giveBack(&s.shelf.purse)
	q.mu.count.closed[why]++
}

// takeBackLocked breaks a promise.
func (q *Queue) takeBackLocked(s *Server, w *Waiter) {
	s.claim, s.client, w.server = nil, 0, nil
	q.mu.line.insert(w)
}

// moveLocked is the only function that changes a server's state, and with it its list.
func (q *Queue) moveLocked(s *Server, to serverState, now int64) {
	if !successor(s.state, to) {
		q.brokenLocked(fmt.Errorf("server moves from %s to %s", s.state, to))
	}
	sh := s.shelf
	if s.state != stateBorn && s.state != stateClosed {
		sh.lists[s.state].remove(s)
	}
	left := s.state == stateLinked && to != stateLinked
	s.state, s.since = to, now
	if to != stateLinked {
		s.client = 0
		s.resting.Store(false)
	}
	if to != stateClosed {
		sh.lists[to].push(s)
	}
	if left || to == stateClosed {
		q.pool.drained.tell()
	}
}

// retireLocked ends the career of a server: at once if nobody has it, otherwise when it is released.
func (q *Queue) retireLocked(s *Server, why closeReason, t *todo) {
	if s.state == stateLinked {
		s.fate = why
		s.retiring.Store(true)
		return
	}
	q.removeLocked(s, why)
	t.close(s)
}

// eachLocked calls f for every server of a shelf; f may remove it.
func (sh *shelf) eachLocked(f func(s *Server)) {
	for st := stateIdle; st < stateClosed; st++ {
		for s := sh.lists[st].head; s != nil; {
			next := s.next
			f(s)
			s = next
		}
	}
}
