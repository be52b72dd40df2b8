package proxy

import (
	"encoding/binary"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/relay"
)

// postlude is what a session asks of its server before a unit of work ends, one row of columns, and who hears the answer. Each column
// has one hearer; a value is nil when it is null, and valid during the call only. The zero value asks nothing.
type postlude struct {
	columns []byte
	hearers []func(value []byte)
	row     []byte // the answer; it is heard when the server has come to its end
}

// ask adds a column.
func (q *postlude) ask(expression string, heard func(value []byte)) {
	if len(q.hearers) > 0 {
		q.columns = append(q.columns, ',')
	}
	q.columns = append(q.columns, expression...)
	q.hearers = append(q.hearers, heard)
}

// text returns the query string, "" when nothing is asked. As a simple Query it is one transaction: what it sets holds as a whole or
// not at all.
func (q *postlude) text() string {
	if len(q.hearers) == 0 {
		return ""
	}
	return "SELECT " + string(q.columns)
}

// hear gives the columns of the DataRow to who asked for them. ok is false when it is not the row that was asked for.
func (q *postlude) hear() (ok bool) {
	body := q.row[min(pgwire.HeaderLen, len(q.row)):]
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != len(q.hearers) {
		return false
	}
	body = body[2:]
	for _, heard := range q.hearers {
		if len(body) < 4 {
			return false
		}
		size := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if size < 0 {
			heard(nil)
			continue
		}
		if int(size) > len(body) {
			return false
		}
		heard(body[:size:size])
		body = body[size:]
	}
	return len(body) == 0
}

// settleUnit asks the server what the unit has left on it, before the client hears that the unit is over, or asks it once more. As with
// whoever would get the server next, it waits until no cancel request for the unit can hit the question.
func (s *Session) settleUnit() {
	s.postlude = postlude{}
	s.inquire(s.link.Questions())
	if s.postlude.text() == "" {
		s.endSettled()
		return
	}
	s.move(stateSettling)
	s.countHeld()
	if s.server.Cancelling() {
		s.awaitSettled()
		return
	}
	s.sendPostlude()
}

func (s *Session) sendPostlude() {
	s.proxy.metrics.postludes.Add(1)
	s.link.Postlude()
	s.server.IO.Send(pgwire.AppendQuery(nil, s.postlude.text()))
	s.awaitSettled()
}

// awaitSettled begins to wait, for the answer or for when it can be asked for.
func (s *Session) awaitSettled() {
	s.spoke()
	s.loop.ArmBy(&s.timer, s.policy.Pool.AnswerTimeout)
}

// cancelOver: PostgreSQL has done with a cancel request for what a server did for this client. Until then it may interrupt the server any
// number of times: it signals the process, and then the process group.
func (s *Session) cancelOver() {
	if s.state() == stateSettling && s.link.PostludeDue() && !s.server.Cancelling() {
		s.sendPostlude()
	}
}

// inquire puts what is to be asked into the postlude.
func (s *Session) inquire(questions relay.Question) {
	if questions&relay.AskSettings != 0 {
		s.askSettings(&s.postlude)
	}
	if questions&relay.AskPrepared != 0 {
		s.askPrepared(&s.postlude)
	}
	if questions&relay.AskPins != 0 {
		s.askPins(&s.postlude)
	}
}

// postludeRow takes the row of the answer. A second one makes it no answer.
func (s *Session) postludeRow(row []byte) { s.postlude.row = append(s.postlude.row, row...) }

// unitSettled: the postlude is over. When the server has refused it, what the unit has left there stays unknown, and nobody else
// gets the server.
func (s *Session) unitSettled(how relay.Verb) {
	if how == relay.SettleFailed || !s.postlude.hear() {
		s.link.Doubt()
	}
	s.endSettled()
}

// endSettled tells the client that its unit is over, and ends it.
func (s *Session) endSettled() {
	s.postlude = postlude{}
	s.move(stateLinked)
	s.throttle()
	s.say(pgwire.AppendReadyForQuery(nil, pgwire.StatusIdle))
	s.unitEnded()
}

// lookAtPostlude gives up a server that does not answer: it takes no longer than a reset. Nor is a cancel request waited for any longer.
func (s *Session) lookAtPostlude() {
	left := s.policy.Pool.AnswerTimeout - s.silence()
	switch {
	case left > 0:
		s.loop.ArmBy(&s.timer, left)
	case s.link.PostludeDue():
		s.sendPostlude()
	default:
		s.serverLost(event.CutTimeout)
	}
}
