package pool

import (
	"github.com/pgrouter/pgrouter/pgwire"
)

// maxResetAnswer bounds what is kept of a reset's answer while a message is not whole, in bytes.
const maxResetAnswer = 64 * 1024

// progress is how far a reset has come.
type progress uint8

const (
	resetRuns progress = iota
	resetDone
	resetFailed    // the server says no, or is left in a state in which nobody can use it
	resetViolation // the server says what is no answer to a query
)

// resetHeard takes the server's answer to the reset query.
func (q *Queue) resetHeard(s *Server, b []byte) {
	s.answer = append(s.answer, b...)
	p, rest := q.readReset(s, s.answer)
	if p == resetDone {
		switch r, _ := overhear(rest); r {
		case remarkNothing:
		case remarkViolation:
			p = resetViolation
		case remarkParameter, remarkFatal:
			p = resetFailed
		}
	}
	s.answer = append(s.answer[:0], rest...)
	switch {
	case p == resetDone:
		q.resetOver(s)
	case p == resetViolation:
		q.lose(s, loss{reason: closedProtocol, violation: true})
	case p != resetRuns || len(rest) > maxResetAnswer:
		q.lose(s, loss{reason: closedReset})
	}
}

// readReset reads the whole messages at the beginning of b. The reset query is the server's only request.
func (q *Queue) readReset(s *Server, b []byte) (p progress, rest []byte) {
	for {
		f, ok, err := pgwire.PeekBackend(b)
		switch {
		case err != nil:
			return resetViolation, nil
		case !ok || f.Len > len(b):
			return resetRuns, b
		}
		if p := q.readResetMessage(s, f.Kind, f.Body(b)); p != resetRuns {
			return p, b[f.Len:]
		}
		b = b[f.Len:]
	}
}

func (q *Queue) readResetMessage(s *Server, kind byte, body []byte) progress {
	switch kind {
	case pgwire.KindCommandComplete:
		s.Prepared.Completed(body)
		if string(body) == tagDiscardAll {
			s.Vector = nil
		}
		s.answered = true
	case pgwire.KindEmptyQueryResponse:
		s.answered = true
	case pgwire.KindReadyForQuery:
		return resetEnd(s.answered, body[0])
	case pgwire.KindParameterStatus:
		if !s.saidAtLogin(body) {
			q.markChanged(s)
		}
	case pgwire.KindErrorResponse, pgwire.KindCopyInResponse, pgwire.KindCopyOutResponse:
		return resetFailed
	case pgwire.KindRowDescription, pgwire.KindDataRow, pgwire.KindNoticeResponse, pgwire.KindNotification:
	default:
		return resetViolation
	}
	return resetRuns
}

// resetEnd judges a ReadyForQuery. One that comes before the reset is answered belongs to something else.
func resetEnd(answered bool, status byte) progress {
	switch {
	case !answered:
		return resetViolation
	case status == pgwire.StatusIdle:
		return resetDone
	case status == pgwire.StatusInTransaction, status == pgwire.StatusFailed:
		return resetFailed
	}
	return resetViolation
}

// tagDiscardAll is the tag of the command behind which a session is as after its login.
const tagDiscardAll = "DISCARD ALL\x00"

// saidAtLogin reports whether a parameter has gone back to what it was at login, and notes it.
func (s *Server) saidAtLogin(body []byte) bool {
	name, value, err := pgwire.ParseParameterStatus(body)
	if err != nil {
		return false
	}
	for _, p := range s.Conn.Params {
		if p.Name == string(name) {
			s.Reported = append(s.Reported, p)
			return p.Value == string(value)
		}
	}
	return false
}

// markChanged: the server's configuration is another one than at its login, so that Conn.Params lies.
func (q *Queue) markChanged(s *Server) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.fate = closedParameter
	s.retiring.Store(true)
}

// resetOver: the server is as new.
func (q *Queue) resetOver(s *Server) {
	var t todo
	now := q.pool.wires.now(s.loop)
	q.mu.Lock()
	if s.state != stateResetting {
		q.mu.Unlock()
		return
	}
	s.answer = nil
	s.CountPrepared()
	e, h := q.returnLocked(s, Clean, now, &t)
	q.verifyLocked()
	q.mu.Unlock()
	q.run(s, e, h)
	q.do(&t)
}

func (q *Queue) resetMessage() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.mu.reset
}
