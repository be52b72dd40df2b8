package relay

import (
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// What SQL has prepared for a stranger stays on a server until a message of a client without such statements could find it. Then it is
// closed in front of that message.

// clearsForeign says what stands before a message on a server where a stranger has left what SQL prepared: nothing, the wait for what was
// sent before it, or what takes that away.
func (l *Link) clearsForeign(kind EntryKind, body []byte, whole bool) Verb {
	switch {
	case whole && !l.findsForeign(kind, body):
		return More
	case l.awaitsAnswers():
		return Full
	}
	l.sql.foreign, l.sql.clears = false, true
	return Insert
}

// findsForeign reports whether a message could find what a stranger has prepared.
func (l *Link) findsForeign(kind EntryKind, body []byte) bool {
	switch kind {
	case EntryQuery, EntryParse:
		return state.NamesPrepared(body)
	case EntryBind:
		_, rest, _ := cutString(body)
		if name, _, ok := cutString(rest); ok && len(name) > 0 {
			return l.namesUnknown(name)
		}
		return state.NamesPrepared(l.unnamedText())
	case EntryDescribe, EntryClose:
		return len(body) > 2 && body[0] == pgwire.TargetStatement && l.namesUnknown(body[1:len(body)-1])
	default:
		return false
	}
}

// namesUnknown reports whether a name may be one of SQL's, or that of a statement that names one.
func (l *Link) namesUnknown(name []byte) bool {
	n := l.statements.find(name)
	if n == nil {
		return true
	}
	st, known := n.statement.seen(l.statements.batch)
	return !known || st == nil || st.NamesPrepared()
}

// unnamedText returns the text of the unnamed statement that a Bind would run now.
func (l *Link) unnamedText() []byte {
	parse := l.unnamed.parse
	if l.unnamed.parses > 0 {
		parse = l.unnamed.next
	}
	if len(parse) <= pgwire.HeaderLen {
		return nil
	}
	return textOf(parse[pgwire.HeaderLen+1:])
}

// clearing returns what takes away what a stranger has prepared, and notes it as outstanding. Nothing stands before it that could make the
// server read over it.
func (l *Link) clearing() []byte {
	l.sql.clears = false
	var b []byte
	for _, has := range l.prepared().sql.All() {
		b = l.closes(b, has.Name)
	}
	l.prepared().sql = nil
	return b
}
