package relay

import (
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// A client that says RESET expects what it began with, and not the server's default. A Query of one such statement is sent with what
// gives that back behind it, in one text, so that both are done or neither. The client is answered as if its statement stood alone.

// restoring returns what is put behind a query string that resets settings, "" when nothing is.
func (l *Link) restoring(class state.Class, text []byte, touched *state.Touched) string {
	whole := touched != nil && touched.Resets() && !touched.Has(state.SessionAuthorization) // DISCARD ALL stands alone in its text
	if !whole || class.Multi || !state.Extensible(text) {
		return ""
	}
	return l.texts().Restore(touched)
}

// restore takes a Query, of whose text it is known what it does. restores is what is put behind it.
func (l *Link) restore(entry Entry, text []byte, restores string) Verdict {
	l.unnamed.unsettled++
	s := l.names()
	v := l.replaceBy(pgwire.AppendQuery(s.scratch[:0], string(text)+";"+restores), entry|Restores, pgwire.HeaderLen+len(text)+1)
	l.unit.open = false
	return v
}

// restored takes CommandComplete of such a Query: that of the client's statement is held back until what stands behind it is done.
func (l *Link) restored(head Entry, msg []byte, whole bool) Verb {
	tag := msg[pgwire.HeaderLen:]
	if command, _, _ := cutString(tag); setsSomething(command) {
		l.heedTag(head, tag, whole)
		l.unit.tag = "SET"
		if tag[0] == 'R' {
			l.unit.tag = "RESET"
		}
		return Drop
	}
	if l.unit.tag == "" {
		return Violation
	}
	s := l.names()
	s.scratch = pgwire.AppendCommandComplete(s.scratch[:0], l.unit.tag)
	l.unit.tag = ""
	l.fifo.answered()
	return Replace
}
