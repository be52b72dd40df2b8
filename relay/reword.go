package relay

import (
	"strings"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// wording is what a client is told instead of an error of its server's.
type wording struct {
	instead  *pgwire.Error // this; nil: the server's own, with another name in it
	from, to string
}

// reworded says how the client is told an error: in the server's words, or with the names that are the client's own.
func (l *Link) reworded(head Entry, code, msg []byte, whole bool) Verb {
	var w wording
	switch {
	case head&Quiet != 0:
		return Drop
	case head&Reworded != 0:
		w = l.statements.words.pop()
		*l.fifo.at(0) &^= Reworded
	case l.sql.missing != nil && l.whyMissing(code, msg) != nil:
		return l.say(l.whyMissing(code, msg))
	case l.statements == nil || !namesStatement(string(code)):
		return More
	}
	if !whole && w.instead == nil {
		return More
	}
	if w.instead != nil {
		return l.say(w.instead)
	}
	e, err := pgwire.ParseError(msg[pgwire.HeaderLen:])
	if err != nil {
		return More
	}
	if w.from == "" {
		w = l.wordingOf(e.Message)
	}
	if w.from == "" || !strings.Contains(e.Message, w.from) {
		return More
	}
	e.Message = strings.Replace(e.Message, w.from, w.to, 1)
	return l.say(e)
}

// namesStatement reports whether PostgreSQL names a prepared statement in an error of this code: it is missing, it is there, or it was
// given too many or too few parameters.
func namesStatement(code string) bool {
	switch code {
	case pgwire.CodeInvalidStatementName, pgwire.CodeDuplicateStatement, pgwire.CodeProtocolViolation:
		return true
	}
	return false
}

// say puts an error in the place of the server's.
func (l *Link) say(e *pgwire.Error) Verb {
	s := l.names()
	s.scratch = pgwire.AppendError(s.scratch[:0], e)
	return Replace
}

// wordingOf finds the client's name for the server's name in a message, if there is one in it.
func (l *Link) wordingOf(message string) wording {
	from := serverName(message)
	if from == "" {
		return wording{}
	}
	for _, n := range l.statements.byName {
		for _, st := range [...]*state.Statement{n.statement.now, n.statement.next} {
			if st != nil && st.Name() == from {
				return wording{from: from, to: n.name}
			}
		}
	}
	for _, d := range l.statements.dropped {
		if d.was.Name() == from {
			return wording{from: from, to: d.name.name}
		}
	}
	return wording{}
}

// serverName returns the first name of a statement on servers in a text, "" when there is none.
func serverName(text string) string {
	i := strings.Index(text, state.StatementPrefix)
	if i < 0 {
		return ""
	}
	n := len(state.StatementPrefix)
	for i+n < len(text) && (text[i+n] >= '0' && text[i+n] <= '9' || text[i+n] >= 'a' && text[i+n] <= 'z') {
		n++
	}
	return text[i : i+n]
}
