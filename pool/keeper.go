package pool

import (
	"errors"
	"io"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
)

// keeper hears a server while nobody holds it: idle, in a reset, waiting for a cancel, or about to move.
type keeper Server

// Received judges what a server says unasked.
func (k *keeper) Received(_ *reactor.Conn, b []byte) {
	s := (*Server)(k)
	q := s.queue
	q.mu.Lock()
	state := s.state
	q.mu.Unlock()
	switch state {
	case stateResetting:
		q.resetHeard(s, b)
	case stateIdle, stateLinked, stateCancelPending:
		q.idleHeard(s, b)
	case stateBorn, stateClosed, stateCount:
	}
}

// Ended: the server has closed its side. It said nothing: a crash of the node, or a proxy between.
func (k *keeper) Ended(*reactor.Conn) {
	s := (*Server)(k)
	s.queue.lose(s, loss{reason: closedByServer, doubt: true, trouble: errServerEnded})
}

// Failed: the connection broke.
func (k *keeper) Failed(_ *reactor.Conn, err error) {
	s := (*Server)(k)
	s.queue.lose(s, loss{reason: closedByServer, doubt: true, trouble: err})
}

// Blocked and Drained: a reset query fits any buffer.
func (k *keeper) Blocked(*reactor.Conn) {}

// Drained see Blocked.
func (k *keeper) Drained(*reactor.Conn) {}

var errServerEnded = errors.New("pool: the server closed an idle connection: " + io.EOF.Error())

// remark is what a chunk of unasked messages amounts to.
type remark uint8

const (
	remarkNothing   remark = iota // notices
	remarkParameter               // the server's configuration has changed, or the chunk ends inside a message
	remarkFatal                   // the server goes
	remarkViolation               // a server does not say that to nobody
)

// overhear reads what an idle server says. The error of remarkFatal is the server's.
func overhear(b []byte) (remark, error) {
	result := remarkNothing
	for len(b) > 0 {
		f, ok, err := pgwire.PeekBackend(b)
		if err != nil {
			return remarkViolation, err
		}
		whole := ok && f.Len <= len(b)
		switch b[0] {
		case pgwire.KindNoticeResponse:
		case pgwire.KindParameterStatus:
			result = remarkParameter
		case pgwire.KindErrorResponse:
			return lastWords(b, f, whole)
		default:
			return remarkViolation, nil
		}
		if !whole {
			return remarkParameter, nil
		}
		b = b[f.Len:]
	}
	return result, nil
}

// lastWords reads an ErrorResponse that nobody asked for: PostgreSQL sends one only before it ends the session.
func lastWords(b []byte, f pgwire.Frame, whole bool) (remark, error) {
	if !whole {
		return remarkFatal, errServerEnded
	}
	e, err := pgwire.ParseError(f.Body(b))
	switch {
	case err != nil:
		return remarkViolation, err
	case !e.Fatal():
		return remarkViolation, e
	}
	return remarkFatal, e
}

// saidByAll says whether the last words of an idle server may be those of all others of its node.
func saidByAll(err error) bool {
	e, whole := errors.AsType[*pgwire.Error](err)
	return !whole || AfterFatal(e) == Lost
}

// AfterFatal says in what condition a server is that has said FATAL: Lost when it is what all servers of a node say when that is stopped
// or has crashed. A single pg_terminate_backend says the same.
func AfterFatal(e *pgwire.Error) Outcome {
	if e.Code == pgwire.CodeAdminShutdown || e.Code == pgwire.CodeCrashShutdown || e.Code == pgwire.CodeCannotConnectNow {
		return Lost
	}
	return Broken
}

func (q *Queue) idleHeard(s *Server, b []byte) {
	r, err := overhear(b)
	switch r {
	case remarkNothing:
	case remarkParameter:
		q.lose(s, loss{reason: closedParameter})
	case remarkFatal:
		q.lose(s, loss{reason: closedByServer, doubt: saidByAll(err), trouble: err})
	case remarkViolation:
		q.lose(s, loss{reason: closedProtocol, violation: true})
	}
}

// loss says how a server that nobody held was lost.
type loss struct {
	reason    closeReason
	doubt     bool  // perhaps all of its node's are going
	trouble   error // tells discovery to look at the node; nil = nothing is wrong with it
	violation bool
}

// lose removes a server that nobody holds. Its loop only. A linked one is on its way to a waiter and has not left yet: the
// waiter gets its old place back and the hop under way will find it closed.
func (q *Queue) lose(s *Server, l loss) {
	var t todo
	now := q.pool.wires.now(s.loop)
	q.mu.Lock()
	if s.state == stateClosed || s.state == stateLinked && !s.moving {
		q.mu.Unlock()
		return
	}
	if l.violation {
		q.mu.count.violations++
	}
	first := s.moving && q.uselessLocked(s, now, &t) // somebody was about to have it
	q.removeLocked(s, l.reason)
	if l.doubt {
		q.doubtLocked(s.shelf, &t)
	}
	q.fillLocked(now, &t)
	q.verifyLocked()
	q.mu.Unlock()
	q.pool.wires.cutOff(s.IO)
	q.do(&t)
	if first {
		q.warn(s.Node(), errUseless)
	}
	if l.violation {
		q.pool.violated(s)
	}
	if l.trouble != nil {
		q.pool.signals.NodeTrouble(q.key.Cluster, s.Node(), l.trouble)
	}
}
