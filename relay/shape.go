package relay

import (
	"bytes"
	"encoding/binary"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// A server holds to the shape that a statement had when it was parsed there: it refuses to run it when its rows would look different
// ("cached plan must not change result type"). Another server, which parses it later, knows nothing of that. So what a client was
// told by a Describe is kept, as a digest, and compared with what its server has. Where that is not known the server is asked first. Rows of
// a cursor, or of what SQL has prepared, PostgreSQL shows as they are.

// shape is what a Describe tells of a statement.
type shape struct {
	parameters digest // their types
	columns    digest // their names and types
	modifiers  digest // of the columns' types; a portal's may differ from its statement's
}

// digest stands for something of a shape. What is made is none of the constants.
type digest uint64

const (
	unheard digest = 0
	nothing digest = 1 // NoData
	tooLong digest = 3 // not compared
)

// asking is a Describe that is not answered yet: one that is Shaped.
type asking struct {
	name    *named // who is told; nil: nobody, the router asks for itself
	changes uint32 // what named.changes was
	held    *held
	portal  bool
	heard   shape
}

// bound is the last portal of the batch, when it is one of a named statement.
type bound struct {
	portal []byte
	name   *named
	held   *held
}

// knows reports whether all is known that a client was told.
func (s shape) knows(told shape) bool {
	return known(s.parameters, told.parameters) && known(s.columns, told.columns) && known(s.modifiers, told.modifiers)
}

func known(has, told digest) bool { return has != unheard || told == unheard || told == tooLong }

// differs reports whether a client was told something else.
func (s shape) differs(told shape) bool {
	return contradicts(s.parameters, told.parameters) || contradicts(s.columns, told.columns) || contradicts(s.modifiers, told.modifiers)
}

func contradicts(has, told digest) bool {
	return has != told && has != unheard && told != unheard && has != tooLong && told != tooLong
}

// fits says what stands before a Bind of a statement that the server has, so that the client gets rows such as it was told of: nothing,
// a question to the server, or the wait for its answer. refused is that they would look different, as they would to PostgreSQL.
func (l *Link) fits(n *named, st *state.Statement) (verb Verb, refused bool) {
	if n.told == (shape{}) || n.asked > 0 || !st.Shared() || st.Borrows() || l.Status() == StatusFailed {
		return More, false
	}
	h := l.prepared().find(st)
	switch {
	case h.asked > 0:
		return Full, false
	case !h.shape.knows(n.told):
		l.names().scratch = pgwire.AppendDescribe(l.names().scratch[:0], pgwire.TargetStatement, st.Name())
		l.fifo.push(Entry(EntryDescribe) | Swallow | Injected | l.asks(asking{held: h}))
		l.unit.open = true // the server waits for a Sync
		return Insert, false
	}
	return More, h.shape.differs(n.told)
}

// refits makes that a statement which does not fit is parsed anew, if what it means may have changed since it was parsed.
func (l *Link) refits(n *named) bool {
	if n.statement.unsettled > 0 {
		return false
	}
	was := n.statement.now
	n.statement.now = l.texts().Statement([]byte(was.Parse()))
	return n.statement.now != was
}

// failChanged lets a Bind fail as a server does that has parsed the statement before its table was changed.
func (l *Link) failChanged(f pgwire.Frame, front, name []byte) Verdict {
	l.Tally.Binds++
	e := pgwire.ErrPlanChanged.New("")
	e.Routine = revalidation
	l.statements.words.push(wording{instead: e})
	return l.rename(f, Entry(EntryBind)|Reworded, front, name, nobodys)
}

// failsChanged reports whether a request was sent to fail by failChanged.
func (l *Link) failsChanged(head Entry) bool {
	if head&Reworded == 0 {
		return false
	}
	e := l.statements.words.front().instead
	return e != nil && e.ID == pgwire.ErrPlanChanged
}

// asks notes that the next request is a Describe, and returns its mark.
func (l *Link) asks(a asking) Entry {
	if a.name != nil {
		a.changes = a.name.changes
		a.name.asked++
	}
	if a.held != nil {
		a.held.asked++
	}
	l.statements.asking.push(a)
	return Shaped
}

// describesPortal returns the mark of a Describe of a portal: whether it is of a named statement.
func (l *Link) describesPortal(body []byte) Entry {
	s := l.statements
	if s == nil || s.bound.name == nil || len(body) == 0 || body[0] != pgwire.TargetPortal || !bytes.Equal(body[1:], s.bound.portal) {
		return 0
	}
	s.bound.name.described = true
	return l.asks(asking{name: s.bound.name, held: s.bound.held, portal: true})
}

// bindsTo notes what a portal is of; front is its name with the NUL. A very long one is not kept.
func (s *statements) bindsTo(front []byte, n *named, h *held) {
	if len(front) > nameLength {
		n = nil
	}
	s.bound.portal = append(s.bound.portal[:0], front[:min(len(front), nameLength)]...)
	s.bound.name, s.bound.held = n, h
}

// hear takes a piece of the answer to a Describe that is Shaped. What need not be here whole is not compared.
func (l *Link) hear(head Entry, msg []byte, whole bool) {
	if head&Shaped == 0 {
		return
	}
	whole = whole && len(msg) <= holdLimit
	heard := &l.statements.asking.front().heard
	switch kind := msg[0]; {
	case kind == pgwire.KindNoData:
		heard.columns, heard.modifiers = nothing, nothing
	case kind == pgwire.KindParameterDescription && whole:
		heard.parameters = digestOf(digestSeed, msg[pgwire.HeaderLen:]).made()
	case kind == pgwire.KindParameterDescription:
		heard.parameters = tooLong
	case whole:
		heard.columns, heard.modifiers = digestColumns(msg[pgwire.HeaderLen:])
	default:
		heard.columns, heard.modifiers = tooLong, tooLong
	}
}

// wasTold notes that the oldest Describe was answered.
func (l *Link) wasTold() {
	a := l.answeredAsking()
	if a.portal {
		a.heard.modifiers = unheard
	}
	if n := a.name; n != nil && n.changes == a.changes && (!a.portal || n.told.columns != a.heard.columns) {
		n.told = a.heard
	}
	if h := a.held; h != nil && (!a.portal || h.shape.columns == unheard) {
		h.shape = a.heard
	}
}

// notTold notes that the oldest Describe is not answered: it failed, or was read over. What the router could not find out it does not
// ask again.
func (l *Link) notTold(failed bool) {
	if a := l.answeredAsking(); failed && a.name == nil {
		a.held.shape = shape{tooLong, tooLong, tooLong}
	}
}

// answeredAsking takes the oldest Describe off.
func (l *Link) answeredAsking() asking {
	a := l.statements.asking.pop()
	if a.name != nil {
		a.name.asked--
	}
	if a.held != nil {
		a.held.asked--
	}
	return a
}

// digestColumns reads a RowDescription: what is not of the rows' look is the table that they come from, and the format.
func digestColumns(body []byte) (columns, modifiers digest) {
	const table, types, modifier, format = 6, 6, 4, 2
	if len(body) < 2 {
		return tooLong, tooLong
	}
	columns, modifiers = digestSeed, digestSeed
	rest := body[2:]
	for range binary.BigEndian.Uint16(body) {
		name, fields, ok := cutString(rest)
		if !ok || len(fields) < table+types+modifier+format {
			return tooLong, tooLong
		}
		columns = digestOf(columns, rest[:len(name)+1])
		columns = digestOf(columns, fields[table:table+types])
		modifiers = digestOf(modifiers, fields[table+types:table+types+modifier])
		rest = fields[table+types+modifier+format:]
	}
	return columns.made(), modifiers.made()
}

// FNV-1a.
const (
	digestSeed  digest = 14695981039346656037
	digestPrime digest = 1099511628211
)

// digestOf adds bytes to a digest.
func digestOf(d digest, b []byte) digest {
	for _, c := range b {
		d = (d ^ digest(c)) * digestPrime
	}
	return d
}

// made returns a digest that none of the constants is.
func (d digest) made() digest { return d&^1 | 2 }
