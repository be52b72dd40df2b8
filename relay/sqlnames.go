package relay

import (
	"bytes"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// SQL can name what the protocol has prepared: EXECUTE, DEALLOCATE, PREPARE. A server knows it under another name, so that it gets the
// statement under the client's own name first. A DEALLOCATE alone takes that away again, as it is to: all else pins.

// beforeText says what stands before the text that b begins with: nothing, the wait for what was sent before it, or the named
// statements that it names. dropped marks a DEALLOCATE, whose name goes with it.
func (l *Link) beforeText(b []byte, isQuery, whole bool) (dropped Entry, verb Verb) {
	s := l.statements
	if s == nil || len(s.byName) == 0 || !whole || !isQuery && l.refusing() {
		return 0, More
	}
	text := textOf(b)
	s.wary = s.wary || state.MayDropPrepared(text)
	uses := state.PreparedUses(text)
	known := uses[:0]
	for _, use := range uses {
		if s.find([]byte(use.Name)) != nil {
			known = append(known, use)
		}
	}
	switch {
	case len(known) == 0:
		return 0, More
	case l.fifo.moving > 0 || !s.changes.empty():
		return 0, Full
	case l.Status() == StatusFailed || isQuery && l.unit.open: // PostgreSQL refuses it in any case; a Sync would end the batch
		return 0, More
	}
	if s.cleared {
		s.cleared = false
		return l.named(known[0], isQuery), More
	}
	s.cleared = true
	l.bringOwn(known, isQuery)
	return 0, Insert
}

// bringOwn puts together what gives the server statements under the client's own names. In front of a Query it has a Sync of its own,
// and an error of it is not shown: PostgreSQL says what is wrong with the Query.
func (l *Link) bringOwn(uses []state.PreparedUse, isQuery bool) {
	s := l.statements
	ours := Swallow | Injected
	if isQuery {
		ours |= Quiet
	}
	s.scratch = s.scratch[:0]
	for _, use := range uses {
		n := s.find([]byte(use.Name))
		parse := emptyParse
		if st := n.statement.now; !use.Drops && st != nil && st.Shared() {
			parse = st.Parse()
		}
		s.scratch = pgwire.AppendClose(s.scratch, pgwire.TargetStatement, n.name)
		s.scratch = append(pgwire.AppendRenamed(s.scratch, pgwire.KindParse, nil, n.name, len(parse)), parse...)
		l.fifo.push(Entry(EntryClose) | ours)
		l.fifo.push(Entry(EntryParse) | ours)
	}
	if isQuery {
		s.scratch = pgwire.AppendSync(s.scratch)
		l.fifo.push(Entry(EntrySync) | ours)
	}
	l.inserts = true
}

// emptyParse is what stands behind the name in a Parse of nothing.
const emptyParse = "\x00\x00\x00"

// named notes what a text does to the named statement that it names. What stands behind a DEALLOCATE waits for its answer.
func (l *Link) named(use state.PreparedUse, isQuery bool) Entry {
	if !use.Drops || !isQuery {
		l.pinFor(event.PinPreparedStatement)
	}
	if !use.Drops {
		return 0
	}
	l.change(change{name: l.statements.find([]byte(use.Name))})
	l.nextBatch()
	return Named
}

// notDropped is for a DEALLOCATE that has failed: the server still has what it was to drop.
func (l *Link) notDropped() {
	l.unsettleChange()
	*l.fifo.at(0) &^= Named
	l.pinFor(event.PinPreparedStatement)
}

// textOf returns the text at the beginning of what stands in a Query or behind the name in a Parse. A NUL ends it; in a Parse there is
// more behind that.
func textOf(b []byte) []byte {
	text, _, _ := bytes.Cut(b, nul)
	return text
}

// nul ends a text. Constant.
var nul = []byte{0}
