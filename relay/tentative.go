package relay

import (
	"slices"

	"github.com/pgrouter/pgrouter/state"
)

// tentative is a value that changes with messages to a server. A change counts when the server has answered it: after an error the
// server reads over everything up to the next Sync.
type tentative[T any] struct {
	now       T
	next      T      // after all changes that are outstanding
	unsettled uint32 // how many those are
	batch     uint32 // in which the last of them was sent
}

// change notes that a change was sent.
func (s *tentative[T]) change(to T, batch uint32) {
	s.next, s.batch = to, batch
	s.unsettled++
}

// settle notes that the server has done the oldest change.
func (s *tentative[T]) settle(to T) {
	s.now = to
	s.unsettled--
}

// seen returns what a message of a batch finds. known is false while that is not known: a change of an earlier batch is not
// answered. What changes in the same batch shares the fate of the message.
func (s *tentative[T]) seen(batch uint32) (value T, known bool) {
	switch {
	case s.unsettled == 0:
		return s.now, true
	case s.batch == batch:
		return s.next, true
	}
	return s.now, false
}

// change is what an outstanding request changes of the client's names, of what the server has, or of both.
type change struct {
	name *named
	to   *state.Statement
	held *held
	has  bool
}

// queue is a line of what waits for answers, oldest first.
type queue[T any] struct {
	line  []T
	first int
}

// queueKept is how many places an empty queue keeps.
const queueKept = 16

// push adds one. What is gone makes room first: a client may send without end and never have everything answered.
func (q *queue[T]) push(v T) {
	if len(q.line) == cap(q.line) && q.first > len(q.line)/2 {
		q.line = slices.Delete(q.line, 0, q.first)
		q.first = 0
	}
	q.line = append(q.line, v)
}

func (q *queue[T]) pop() T {
	var none T
	v := q.line[q.first]
	q.line[q.first] = none
	q.first++
	if q.first == len(q.line) {
		q.clear()
	}
	return v
}

// front returns the oldest, which there is.
func (q *queue[T]) front() *T { return &q.line[q.first] }

func (q *queue[T]) empty() bool { return q.first == len(q.line) }

func (q *queue[T]) clear() {
	clear(q.line)
	q.line, q.first = q.line[:0], 0
	if cap(q.line) > queueKept {
		q.line = nil
	}
}
