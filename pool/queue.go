package pool

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
)

// Queue is where all units of work with one Key find a server: one FIFO of waiters, whatever they wait for, and one shelf of
// connections per node. It is safe for concurrent use; what must run on which loop stands at each method.
type Queue struct {
	pool    *Pool
	key     Key
	rules   routing.Rules
	cluster *cluster

	database, user *budget // what its connections spend

	users  atomic.Int64 // who may ask for a server; changed with the pool's lock
	uses   uint64       // how often somebody began to use it; guarded by the pool's lock
	stays  bool         // see Stay; guarded by the pool's lock
	shared struct {     // see Shared
		once sync.Once
		what any
	}

	mu queueState
}

// queueState is guarded by its own mutex: nothing is called under it that blocks, calls back, logs or does I/O, and no lock is taken
// but that of limits.
type queueState struct {
	sync.Mutex
	cfg      Config
	reset    []byte       // the message that resets a server
	view     *clusterView // in force; the cluster may have a newer one
	doorway               // what it offers now
	held     int64        // pool clock since doorway is what it is
	closed   bool
	shelves  []*shelf
	nodes    []*shelf // those that the routing decision in force names
	fallback bool     // it names a primary that stands in for standbys
	round    uint64   // of connections: each Reconnect begins another
	line     line
	count    counters
}

// counters only grow.
type counters struct {
	acquires, waits, refused, gaveUp, full   uint64
	grants                                   uint64
	waited                                   int64 // nanoseconds, of the waits that ended with a server
	dialOK, dialFailed, dialRefused, dialOff uint64
	born                                     uint64
	moves                                    uint64 // hand-overs between loops
	resets                                   uint64
	violations                               uint64
	closed                                   [closeReasons]uint64
}

// Key returns the queue's identity.
func (q *Queue) Key() Key { return q.key }

// Acquire asks for a server and never blocks. It gives exactly one of three (I5): a server, which then belongs to the caller
// until Release; an error; or neither, a place in the line, to be answered by the waiter's Grantee. w.Loop only.
func (q *Queue) Acquire(w *Waiter) (*Server, error) {
	var t todo
	now := q.pool.wires.now(w.Loop)
	q.mu.Lock()
	s, err := q.acquireLocked(w, now, &t)
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
	return s, err
}

func (q *Queue) acquireLocked(w *Waiter, now int64, t *todo) (*Server, error) {
	if w.place != placeNone {
		return nil, ErrHasPlace
	}
	if q.mu.closed {
		return nil, ErrClosed
	}
	q.mu.count.acquires++
	w.queue, w.since = q, now
	if s := q.takeLocked(w, now, t); s != nil {
		q.moveLocked(s, stateLinked, now)
		if s.loop == w.Loop {
			q.mu.count.grants++
			s.client = w.Client
			return s, nil
		}
		q.mu.count.waits++
		q.mu.line.number(w)
		q.promiseLocked(s, w)
		t.hop(s)
		return nil, nil
	}
	if err := q.turnAwayLocked(w, now); err != nil {
		return nil, err
	}
	q.mu.count.waits++
	q.mu.line.number(w)
	q.mu.line.join(w)
	q.growLocked(now, t)
	return nil, nil
}

// takeLocked chooses an idle server for w; nil if there is none, or none may be handed out (I4).
func (q *Queue) takeLocked(w *Waiter, now int64, t *todo) *Server {
	if q.mu.hold != event.HoldNone {
		return nil
	}
	sh := q.shelfLocked(now, t)
	if sh == nil {
		return nil
	}
	return sh.pick(w)
}

// turnAwayLocked says why w cannot even wait.
func (q *Queue) turnAwayLocked(w *Waiter, now int64) error {
	if err := q.refusalLocked(now); err != nil {
		q.mu.count.refused++
		return err
	}
	if limit := q.mu.cfg.MaxWaiters; limit > 0 && q.mu.line.n >= limit && !w.Front {
		q.mu.count.full++
		return ErrQueueFull
	}
	return nil
}

// promiseLocked notes that s, linked already, goes to w on another loop.
func (q *Queue) promiseLocked(s *Server, w *Waiter) {
	s.claim, s.client, s.moving = w, w.Client, true
	w.place, w.server = placePromised, s
}

// GiveUp takes w's place back. It returns true when there was one: nothing will be called for it then. False: w has no place,
// it was answered already. w.Loop only.
func (q *Queue) GiveUp(w *Waiter) bool {
	q.mu.Lock()
	switch w.place {
	case placeNone:
		q.mu.Unlock()
		return false
	case placeWaiting:
		q.mu.line.leave(w)
		q.noteWait(w, q.pool.wires.now(w.Loop))
		q.restLocked()
	case placePromised:
		w.server.claim, w.server.client = nil, 0 // the hop under way gives it to somebody else
	case placeRefused:
	}
	q.mu.count.gaveUp++
	w.answered()
	q.verifyLocked()
	q.mu.Unlock()
	return true
}

// Waiting says why w waits, HoldNone when it does not, and why the last attempt to open a connection failed where there could be more of
// them. Both may change while it waits. w.Loop only.
func (q *Queue) Waiting(w *Waiter) (why event.HoldReason, trouble error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.place == placeNone {
		return event.HoldNone, nil
	}
	return q.reasonLocked()
}

// reasonLocked says why somebody in the line waits, and with what trouble. All is taken only where there is none.
func (q *Queue) reasonLocked() (why event.HoldReason, trouble error) {
	if q.mu.hold != event.HoldNone {
		return q.mu.hold, nil
	}
	live := 0
	for _, sh := range q.mu.nodes {
		n := sh.live()
		switch {
		case sh.short != nil:
			return event.HoldLimit, nil
		case n < q.sizeLocked(sh) && sh.trouble != nil:
			trouble = sh.trouble
		}
		live += n
	}
	if live == 0 && trouble != nil {
		return event.HoldDialFailing, trouble
	}
	return event.HoldExhausted, trouble
}

// settleLocked finds the next owner of a server that is clean, on the loop the caller runs on: the oldest waiter, or the
// shelf.
func (q *Queue) settleLocked(s *Server, now int64) hand {
	w := q.mu.line.head
	if w == nil || q.mu.hold != event.HoldNone || !s.shelf.eligible {
		if s.state != stateIdle {
			q.moveLocked(s, stateIdle, now)
		}
		return hand{}
	}
	q.mu.line.leave(w)
	q.restLocked()
	if s.state != stateLinked {
		q.moveLocked(s, stateLinked, now)
	}
	return q.handLocked(s, w, now)
}

// noteWait counts how long somebody has waited whose wait ends now.
func (q *Queue) noteWait(w *Waiter, now int64) {
	if q.key.Route == routing.Primary {
		q.cluster.waits.note(time.Duration(now - w.since))
	}
}

// hand is to whom a server goes; the zero value is the shelf.
type hand struct {
	waiter *Waiter
	loop   *reactor.Loop // nil: the waiter lives here
}

// handLocked gives a linked server to w, at once when w lives on the server's loop.
func (q *Queue) handLocked(s *Server, w *Waiter, now int64) hand {
	if w.Loop == s.loop {
		q.mu.count.grants++
		q.mu.count.waited += max(now-w.since, 0)
		q.noteWait(w, now)
		w.answered()
		s.client = w.Client
		return hand{waiter: w}
	}
	q.promiseLocked(s, w)
	return hand{waiter: w, loop: w.Loop}
}

// pass does what settleLocked or handLocked decided. The lock is not held; the server's loop only.
func (q *Queue) pass(s *Server, h hand) {
	q.pool.wires.keep(s.IO, (*keeper)(s)) // whoever had it, and whatever he did with it
	switch {
	case h.waiter == nil:
	case h.loop == nil:
		h.waiter.Grantee.Granted(s)
	default:
		q.sendOff(s, h.loop)
	}
}

// fillLocked hands idle servers to those who wait and opens connections for the rest. A closed queue refuses them: a promise
// may have been broken since it was closed.
func (q *Queue) fillLocked(now int64, t *todo) {
	if q.mu.closed {
		q.refuseLocked(ErrClosed, t)
		return
	}
	for w := q.mu.line.head; w != nil; w = q.mu.line.head {
		s := q.takeLocked(w, now, t)
		if s == nil {
			break
		}
		q.mu.line.leave(w)
		q.moveLocked(s, stateLinked, now)
		q.promiseLocked(s, w)
		t.hop(s)
	}
	q.restLocked()
	q.growLocked(now, t)
}

// restLocked lets nobody find room for a queue in which nobody waits any more.
func (q *Queue) restLocked() {
	if q.mu.line.n == 0 || q.mu.hold != event.HoldNone {
		q.sateLocked()
	}
}
