package pool

import (
	"sync/atomic"

	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/state"
)

// Grantee is who waits. Exactly one of its methods is called for each place that Acquire gave, on the waiter's loop, never
// with a lock held, and never after GiveUp returned true.
type Grantee interface {
	// Granted hands a server over. The caller owns it until it calls Release.
	Granted(s *Server)
	// Refused says that there will be none.
	Refused(err error)
}

// Waiter is somebody's entry in a queue, meant to be a field of a session: waiting allocates nothing. Its zero value with
// the exported fields set is ready. Front counts when Acquire is called; the others must not be changed between Acquire and
// the answer.
type Waiter struct {
	Grantee Grantee
	Loop    *reactor.Loop // where it lives; Acquire and GiveUp are called there
	Vector  *state.Vector // servers with these parameters are preferred; nil = no matter
	Last    uint64        // it would rather have the server with this ID than any other; 0 = no matter
	Client  uint64        // who it is, for Pool.Servers to tell; 0 = no matter
	Front   bool          // ahead of all that are not: a unit of work that is silently queued again

	prev, next *Waiter // in the line

	queue  *Queue
	place  place
	ahead  bool // Front when it took the place
	rank   uint64
	since  int64   // pool clock
	server *Server // promised
	ticket atomic.Uint64
}

// place is where a waiter stands.
type place uint8

const (
	placeNone     place = iota // nowhere; → waiting, promised
	placeWaiting               // in the line; → promised, refused, none (granted or given up)
	placePromised              // a server changes loops for it; → none (granted or given up), waiting (the server was lost)
	placeRefused               // the refusal is on its way; → none
)

// answered ends the place. A refusal that is still on its way for it is stale from now on.
func (w *Waiter) answered() {
	w.place, w.server, w.queue = placeNone, nil, nil
	w.ticket.Add(1)
}

// line is the one FIFO of a queue: those ahead first, then by rank.
type line struct {
	head, tail *Waiter
	n          int
	ranks      uint64
}

// number gives w the rank that it keeps until it is answered.
func (l *line) number(w *Waiter) {
	l.ranks++
	w.rank, w.ahead = l.ranks, w.Front
}

// join lets w, just numbered, stand in the line.
func (l *line) join(w *Waiter) {
	if w.ahead {
		l.insert(w)
		return
	}
	l.put(w, l.tail)
}

// insert puts w where its rank belongs: its old place after a promise was broken, or ahead of the others.
func (l *line) insert(w *Waiter) {
	var after *Waiter
	for x := l.head; x != nil && x.before(w); x = x.next {
		after = x
	}
	l.put(w, after)
}

func (w *Waiter) before(x *Waiter) bool {
	if w.ahead != x.ahead {
		return w.ahead
	}
	return w.rank < x.rank
}

// put links w in behind after; nil = at the head.
func (l *line) put(w, after *Waiter) {
	w.place = placeWaiting
	w.prev = after
	if after == nil {
		w.next, l.head = l.head, w
	} else {
		w.next, after.next = after.next, w
	}
	if w.next == nil {
		l.tail = w
	} else {
		w.next.prev = w
	}
	l.n++
}

// leave takes w out. The caller says what becomes of its place.
func (l *line) leave(w *Waiter) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	l.n--
}
