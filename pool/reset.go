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
	resetFailed
)

// resetHeard takes the server's answer to the reset query.
func (q *Queue) resetHeard(s *Server, b []byte) {
	s.answer = append(s.answer, b...)
	p, rest := q.readReset(s, s.answer)
	if p == resetDone {
		if r, _ := overhear(rest); r != remarkNothing {
			p = resetFailed
		}
	}
	s.answer = append(s.answer[:0], rest...)
	switch {
	case p == resetDone:
		q.resetOver(s)
	case p != resetRuns || len(rest) > maxResetAnswer:
		q.lose(s, loss{reason: closedReset})
	}
}

// readReset reads the whole messages at the beginning of b.
func (q *Queue) readReset(s *Server, b []byte) (p progress, rest []byte) {
	for {
		f, ok, err := pgwire.PeekBackend(b)
		switch {
		case err != nil:
			return resetFailed, nil
		case !ok || f.Len > len(b):
			return resetRuns, b
		}
		body := f.Body(b)
		b = b[f.Len:]
		switch f.Kind {
		case pgwire.KindReadyForQuery:
			if body[0] != pgwire.StatusIdle {
				return resetFailed, nil
			}
			return resetDone, b
		case pgwire.KindParameterStatus:
			if !s.saidAtLogin(body) {
				q.markChanged(s)
			}
		case pgwire.KindErrorResponse, pgwire.KindCopyInResponse, pgwire.KindCopyOutResponse, pgwire.KindCopyBothResponse:
			return resetFailed, nil
		}
	}
}

// saidAtLogin reports whether a parameter has gone back to what it was at login.
func (s *Server) saidAtLogin(body []byte) bool {
	name, value, err := pgwire.ParseParameterStatus(body)
	if err != nil {
		return false
	}
	for _, p := range s.Conn.Params {
		if p.Name == string(name) {
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
	s.Vector, s.answer = nil, nil
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
