package relay

import "github.com/pgrouter/pgrouter/pgwire"

// A server's statement can be of no use any more: a table has changed so that its rows would look different, or the server has lost
// it to something that hid the word DEALLOCATE. A unit of work that fails at that before it has done or shown anything is sent
// again, behind a new Parse.

// revalidation is the function of PostgreSQL's that refuses a plan whose rows would look different ("cached plan must not change
// result type"); a message's text depends on the language.
const revalidation = "RevalidateCachedQuery"

// noteUse notes that the unit uses a named statement.
func (l *Link) noteUse(n *named) {
	l.unit.usesMany = l.unit.usesMany || l.unit.uses != nil && l.unit.uses != n
	l.unit.uses = n
}

// heals looks whether an error can be mended by a new Parse, and mends it. Then the rest of the answer is read over.
func (l *Link) heals(head Entry, code, msg []byte) bool {
	changed := l.failsChanged(head) || string(code) == pgwire.CodeFeatureNotSupported && string(errorField(msg, 'R')) == revalidation
	switch {
	case l.statements == nil:
		return false
	case !l.onlyFailed(head, changed) || !l.mend(head, code, msg, changed):
		if changed {
			l.texts().Altered() // what the client parses next is new
		}
		return false
	}
	l.skipToSync()
	l.healing = true
	l.unit = unit{} // nothing of it was run, nothing will be
	l.Tally.Heals++
	return true
}

// onlyFailed reports whether the unit is one batch with its Sync, of which nothing was done or shown before it failed at its
// statement, and which can be sent again.
func (l *Link) onlyFailed(head Entry, changed bool) bool {
	switch head.Kind() {
	case EntryParse, EntryBind, EntryDescribe, EntryExecute:
	default:
		return false
	}
	u := &l.unit
	n := u.uses
	return l.Status() == StatusIdle && (head&Reworded == 0 || changed) && n != nil && !u.usesMany && n.statement.now != nil && n.statement.now.Shared() &&
		l.ahead == 0 && !u.answered && !u.open && l.up.rest == 0 && l.lastIsTheOnlySync() && l.texts().Again()
}

// lastIsTheOnlySync reports whether the batch that has failed is the last thing that the server was asked, and has its Sync: a Query in its
// place the server reads over.
func (l *Link) lastIsTheOnlySync() bool {
	for i := range l.fifo.count {
		if e := l.fifo.at(i); e.EndsUnit() {
			return i == l.fifo.count-1 && e.Kind() == EntrySync
		}
	}
	return false
}

// mend makes that the statement is parsed anew when it is used next. Who was told what its rows look like, and does not ask again, gets
// the error as PostgreSQL gives it.
func (l *Link) mend(head Entry, code, msg []byte, changed bool) bool {
	n := l.unit.uses
	st := n.statement.now
	h := l.prepared().find(st)
	named := string(code) == pgwire.CodeInvalidStatementName && serverName(string(errorField(msg, 'M'))) == st.Name()
	switch {
	case changed && n.described && !l.unit.describes:
		return false
	case changed:
		l.texts().Altered()
		n.statement.now = l.texts().Statement([]byte(st.Parse()))
		n.told = shape{} // it is about to be told
		return true
	case named && head&Injected == 0 && h != nil:
		h.there.now = false
		l.prepared().settled(h)
		return true
	}
	return false
}

// again takes the ReadyForQuery behind which the unit is sent again.
func (l *Link) again(msg []byte) Verb {
	l.healing = false
	if msg[pgwire.HeaderLen] != StatusIdle || l.fifo.count > 0 {
		return Violation
	}
	return Again
}
