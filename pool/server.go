package pool

import (
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/relay"
	"github.com/pgrouter/pgrouter/state"
	"github.com/pgrouter/pgrouter/topology"
)

// Outcome is in what condition a server is given back.
type Outcome uint8

// The conditions.
const (
	Clean  Outcome = iota // its last message was ReadyForQuery 'I', nothing is outstanding, and Vector tells its parameters (I2)
	Dirty                 // as Clean, but it carries a session's belongings: reset it first
	Broken                // it may be in the middle of anything: close it
	Lost                  // it is gone, and not by our doing: perhaps all of its node's are going
)

// Gone reports whether a server in this condition is of no use to anybody any more.
func (o Outcome) Gone() bool { return o == Broken || o == Lost }

// Holder is who has a server. Cut is called on the server's loop: the server must be released as Broken, soon or at once.
type Holder interface {
	Cut(s *Server, why event.CutReason)
}

// Server is one server connection. Between Acquire or Granted and Release it belongs to the holder: its exported fields,
// Conn and IO are the holder's to use on the loop it was granted on, and nobody else's.
type Server struct {
	Conn   *backend.Conn // what is known of it since its login
	IO     *reactor.Conn // the holder sets its own handler; nil while it changes loops
	Vector *state.Vector // its parameters as the last holder left them; nil after its login and after DISCARD ALL: see Conn.Params
	Holder Holder        // set by whoever got it, before the callback returns; the pool clears it at Release
	Served bool          // it has answered something; the holder sets it
	Former uint64        // who has used it last, by Waiter.Client; 0: nobody. The holder sets it when he is done

	Prepared relay.Prepared // what clients have prepared on it
	Reported []pgwire.Param // parameters that have gone back to what they were at login since Vector was noted; the holder clears it

	id       uint64
	queue    *Queue
	shelf    *shelf
	retiring atomic.Bool   // written with the queue's lock: it is closed instead of being handed out again
	resting  atomic.Bool   // its holder keeps it between two units of work
	prepared atomic.Uint32 // a copy of how many statements it has

	// Guarded by queue.mu.
	state      serverState
	prev, next *Server       // in the shelf's list of its state
	loop       *reactor.Loop // where IO lives, or comes from while it moves
	claim      *Waiter       // whom it is promised to while it moves; nil: nobody any more
	client     uint64        // whose it is or will be, by Waiter.Client; 0 unless it is linked
	ahead      time.Time     // opened to a candidate, whose postmaster was started then; zero: to a node that serves
	moving     bool          // linked, on its way to a waiter; exactly one hop is under way
	cancels    int           // cancel requests under way to it
	outcome    Outcome       // what the last holder said, while cancels are awaited
	cut        event.CutReason
	fate       closeReason // why it retires; closedBroken = it does not, or nobody said
	since      int64       // pool clock when it got into its state
	born       int64       // pool clock when it was opened
	expires    int64       // pool clock at the end of its lifetime; 0: there is none
	round      uint64      // of its queue's connections; never changes

	chain    *Server           // in a todo
	detached *reactor.Detached // the hop's own
	answer   []byte            // what a reset has answered so far and was not read; loop only
	answered bool              // a statement of the reset is done; loop only
}

// serverState is where a server stands: on the list of that name of its shelf. Dialing ones are only counted.
type serverState uint8

const (
	stateBorn          serverState = iota // opened, on no list yet; → idle
	stateIdle                             // nobody's; → linked, closed
	stateLinked                           // somebody's, or on its way to somebody; → idle, resetting, cancel pending, closed
	stateResetting                        // runs the reset query; → idle, linked, closed
	stateCancelPending                    // a cancel for its last holder may still reach it; → idle, linked, resetting, closed
	stateClosed                           // the end
	stateCount
)

// String returns the state's name as metrics print it.
func (s serverState) String() string {
	switch s {
	case stateBorn:
		return "born"
	case stateIdle:
		return "idle"
	case stateLinked:
		return "linked"
	case stateResetting:
		return "resetting"
	case stateCancelPending:
		return "cancel_pending"
	case stateClosed, stateCount:
	}
	return "closed"
}

// successor says whether a server may go from one state to another.
func successor(from, to serverState) bool {
	switch from {
	case stateBorn:
		return to == stateIdle
	case stateIdle:
		return to == stateLinked || to == stateClosed
	case stateLinked:
		return to == stateIdle || to == stateResetting || to == stateCancelPending || to == stateClosed
	case stateResetting:
		return to == stateIdle || to == stateLinked || to == stateClosed
	case stateCancelPending:
		return to == stateIdle || to == stateLinked || to == stateResetting || to == stateClosed
	case stateClosed, stateCount:
	}
	return false
}

// live sets the end of the server's lifetime, give or take a tenth; 0 is none.
func (s *Server) live(lifetime time.Duration) {
	s.expires = 0
	if lifetime > 0 {
		s.expires = s.born + int64(jitter(lifetime))
	}
}

// ID returns the server's number, given once in the pool's life.
func (s *Server) ID() uint64 { return s.id }

// Node returns the node that the server is a connection to.
func (s *Server) Node() topology.NodeID { return s.Conn.Target.Node }

// Incarnation returns the life of the node that the connection belongs to.
func (s *Server) Incarnation() topology.Incarnation { return s.Conn.Target.Incarnation }

// CountPrepared lets others see how many statements the server has. Its loop only.
func (s *Server) CountPrepared() {
	if n := uint32(s.Prepared.Len()); n != s.prepared.Load() {
		s.prepared.Store(n)
	}
}

// Retiring reports whether the connection will be closed when it is released: its node has changed, its time is over. A
// holder that keeps servers for long may give it back early. Any goroutine.
func (s *Server) Retiring() bool { return s.retiring.Load() }

// BeginCancel announces a cancel request for what the server does now and returns false when it does nothing for anybody.
// It is called while the holder cannot release the server: on its loop. EndCancel must follow when the cancel connection
// has reached its end; until then a released server is handed to nobody.
func (s *Server) BeginCancel() bool {
	q := s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.state != stateLinked || s.moving {
		return false
	}
	s.cancels++
	return true
}

// Cancelling reports whether a cancel request is under way that may still interrupt what the server does. Its loop only.
func (s *Server) Cancelling() bool {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return s.cancels > 0
}

// HeldFor says for how long its holder has had the server. Its loop only.
func (s *Server) HeldFor() time.Duration {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return time.Duration(s.queue.pool.wires.now(s.loop) - s.since)
}

// Promoted notes that the server's session is not in hot standby any more, and so may write. Its loop only.
func (s *Server) Promoted() {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	s.Conn.HotStandby = false
}

// Retire lets the server be closed when it is released, instead of being handed to somebody else. Any goroutine.
func (s *Server) Retire() {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	s.retiring.Store(true)
}

// Rest notes that the holder keeps the server although no unit of work runs: who waits until all is quiet need not wait for it. Its
// loop only.
func (s *Server) Rest() {
	s.resting.Store(true)
	s.queue.pool.drained.tell()
}

// Work ends Rest: the next unit of work begins. Its loop only.
func (s *Server) Work() {
	if s.resting.Load() {
		s.resting.Store(false)
	}
}

// EndCancel ends what BeginCancel began. Any goroutine.
func (s *Server) EndCancel() {
	q := s.queue
	q.mu.Lock()
	if s.cancels == 0 {
		q.mu.Unlock()
		q.pool.mustNot("EndCancel without BeginCancel")
		return
	}
	s.cancels--
	resume := s.cancels == 0 && s.state == stateCancelPending
	loop := s.loop
	q.verifyLocked()
	q.mu.Unlock()
	if resume && !q.pool.wires.post(loop, (*resumeTask)(s)) {
		q.abandon(s)
	}
}

// serverList is one list of a shelf, the most recently used first.
type serverList struct {
	head, tail *Server
	n          int
}

func (l *serverList) push(s *Server) {
	s.prev, s.next = nil, l.head
	if l.head == nil {
		l.tail = s
	} else {
		l.head.prev = s
	}
	l.head = s
	l.n++
}

func (l *serverList) remove(s *Server) {
	if s.prev == nil {
		l.head = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.tail = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
	l.n--
}
