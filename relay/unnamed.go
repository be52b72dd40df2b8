package relay

import (
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// unnamedLimit is the size in bytes of the longest unnamed Parse that is carried from one server to another. A longer one
// pins the session to its server.
const unnamedLimit = 64 * 1024

// unnamed is the client's unnamed prepared statement. It lives until the next Parse of it, a Close of it, or a simple Query,
// as in PostgreSQL; it outlives Sync, and lib/pq relies on that (Parse+Sync, then Bind+Sync). The server that runs the Bind
// may be another, or one on which a stranger has left a statement of his own: then ours is sent again in front.
//
// Whatever changes the statement counts only when the server has answered it, because after an error the server reads over
// everything up to the next Sync. Until then the change is unsettled.
type unnamed struct {
	unsettled uint32 // Parse, Close and Query messages outstanding that change the statement
	parses    uint32 // how many of them are Parse
	onServer  bool   // the linked server holds exactly what is settled, be it none
	inBatch   bool   // a Parse of it stands before, with no Sync between: what follows shares its fate
	parse     []byte // the client's Parse message as far as it is settled; empty when it has no unnamed statement
	next      []byte // the last Parse that is not settled
	does      does   // what the settled text does
	nextDoes  does   // what the text of the last Parse that is not settled does
}

// does is what must be known of a statement's text when it is run.
type does struct {
	mayEnd  bool           // it may end a transaction
	writes  bool           // it may change the database, see Link.mayWrite
	pins    event.Pins     // what it pins for each time that it runs: a pin may have ended since it was parsed
	later   event.Pins     // for what that pins which it prepares, when it is executed
	frees   bool           // see state.Class
	recalls bool           // it may ask for a number of a sequence
	touched *state.Touched // the settings that it may change; nil: none
	sets    bool           // what is parsed behind it may mean something else, see state.Shifts
	judged  bool           // all this is known from the whole text, and from nothing else but standby
	standby bool           // the server was in hot standby when it was judged
}

// settle notes that the server has done what changes the statement.
func (l *Link) settleUnnamed(e Entry) {
	u := &l.unnamed
	u.onServer = true
	if e&Injected != 0 {
		return
	}
	u.unsettled--
	if e.Kind() != EntryParse {
		u.parse, u.does = u.parse[:0], does{}
		return
	}
	u.parses--
	if u.parses == 0 {
		u.parse, u.next = u.next, u.parse[:0]
		u.does = u.nextDoes
	} else {
		u.parse = u.parse[:0] // superseded by the next before it can be needed elsewhere
		u.does = does{mayEnd: true, writes: true}
	}
}

// unsettle notes that the server has not done it: it read over it, or failed at it.
func (l *Link) unsettleUnnamed(e Entry, failed bool) {
	u := &l.unnamed
	if e&Injected != 0 { // the client still has what this server has not
		u.onServer = u.onServer && !failed
		return
	}
	if failed && e.Kind() == EntryParse { // PostgreSQL has dropped the old one already
		u.parse, u.does, u.onServer = u.parse[:0], does{}, true
	}
	u.unsettled--
	if e.Kind() == EntryParse {
		u.parses--
		if u.parses == 0 && len(u.parse) == 0 && u.onServer && !failed {
			l.pinFor(event.PinUncertain) // one of several was parsed, and its text is not kept
		}
	}
}

// keep notes a Parse that is being sent. It returns false when its text is too long to be carried.
func (u *unnamed) keep(msg []byte, whole bool, what does) bool {
	u.nextDoes = what
	u.inBatch = true
	u.parses++
	u.next = u.next[:0]
	if !whole || len(msg) > unnamedLimit {
		return false
	}
	u.next = append(u.next, msg...)
	return true
}

// forgetUnsettled is for a lost server: what it had not answered did not happen as far as anybody knows.
func (u *unnamed) forgetUnsettled() {
	u.next, u.unsettled, u.parses, u.inBatch, u.onServer = u.next[:0], 0, 0, false, false
}

// Insertion returns the messages that must go to the server before the client's next bytes, after FromClient said Insert: what takes
// a stranger's numbers away, what SQL has prepared and the server lacks, what a named statement needs, or the client's own unnamed Parse,
// or, when it has none, a Close that takes away a stranger's. now are the client's settings. It is valid until the next call.
func (l *Link) Insertion(now *state.Vector) []byte {
	switch {
	case l.sequences.mustGo:
		return l.forgetting()
	case l.sql.clears:
		return l.clearing()
	case l.sql.retries:
		return l.retrying(now)
	case l.inserts:
		l.inserts = false
		return l.statements.scratch
	}
	l.unnamed.inBatch = true
	if len(l.unnamed.parse) > 0 {
		l.Tally.ServerParses++
		l.fifo.push(Entry(EntryParse) | Swallow | Injected | Unnamed)
		return l.unnamed.parse
	}
	l.fifo.push(Entry(EntryClose) | Swallow | Injected | Unnamed)
	return closeUnnamed
}

// closeUnnamed is Close('S', ""). Constant.
var closeUnnamed = []byte{pgwire.KindClose, 0, 0, 0, 6, 'S', 0}

// useUnnamed says what stands before a message that uses the unnamed statement: nothing, the wait until it is settled which
// one that is, or the client's own once more, because the linked server does not hold it.
func (l *Link) useUnnamed() Verb {
	u := &l.unnamed
	switch {
	case u.inBatch:
		return More
	case u.unsettled > 0:
		return Full
	case !u.onServer:
		return Insert
	}
	return More
}

// repeats reports whether the body of a Parse says what made the unnamed statement, as far as that is settled, and was judged then: most
// drivers and programs parse the same few texts again and again.
func (u *unnamed) repeats(body []byte) bool {
	return u.does.judged && len(u.parse) == pgwire.HeaderLen+len(body) && string(u.parse[pgwire.HeaderLen:]) == string(body)
}

// sawParse notes a Parse of the unnamed statement. msg may be only its beginning.
func (l *Link) sawParse(msg []byte, whole bool) {
	body := msg[pgwire.HeaderLen:]
	_, rest, ok := cutString(body)
	if !ok {
		l.pinFor(event.PinUncertain)
		l.unit.mayEnd, l.unit.writes = true, true
		return
	}
	what := does{mayEnd: true, writes: true}
	if whole { // else it pins whatever it is
		what = l.judgeUnnamed(body, rest)
	}
	if !l.unnamed.keep(msg, whole, what) {
		l.pinFor(event.PinUncertain)
	}
}

// judgeUnnamed returns what the text does of which a Parse makes the unnamed statement, and pins for it. text is where it begins.
func (l *Link) judgeUnnamed(body, text []byte) does {
	if l.unnamed.repeats(body) && l.unnamed.does.standby == l.standby && !l.refusing() {
		l.pinsFor(l.unnamed.does.pins)
		return l.unnamed.does
	}
	glance := l.glanceAt(EntryParse, body)
	text = glance.Text(text)
	class := glance.Classify(text)
	what := does{
		mayEnd: class.MayEnd, writes: l.mayWrite(text), pins: event.PinsOf(class.Pin), frees: class.Frees, touched: touches(class, text),
		recalls: glance.Recalls, later: event.PinsOf(class.Later), sets: class.Sets && state.Shifts(text), standby: l.standby,
	}
	switch {
	case !l.refusing():
		what.judged = true
		l.pinFor(class.Pin)
	case l.usesOwn(text, true):
		what.pins = what.pins.With(event.PinPreparedStatement)
	}
	return what
}

// doesUnnamed returns what a Bind of the unnamed statement may run. It is valid until the next message.
func (l *Link) doesUnnamed() *does {
	if u := &l.unnamed; u.parses > 0 { // a Parse of the same batch
		return &u.nextDoes
	}
	return &l.unnamed.does
}

// runsOthers reports whether what the client runs may run what SQL has prepared, see executing.
func (l *Link) runsOthers() bool { return l.sql.mine != nil || l.unit.later != 0 }

// runsUnnamed returns what a Bind of the unnamed statement may run, what SQL has prepared included.
func (l *Link) runsUnnamed() does {
	return l.doesUnnamed().and(l.executing(l.unnamedText(), true))
}

// sawBind notes a Bind: from here on its statement may run. front is what stands before the statement's name.
func (l *Link) sawBind(front []byte, what *does) {
	l.unit.portalEnds = l.unit.portalEnds || what.mayEnd
	l.unit.bound = l.unit.bound || len(front) == 1
	l.unit.mayEnd = l.unit.mayEnd || what.mayEnd
	l.pinsFor(what.pins)
	l.unit.later |= what.later
	l.unit.frees = l.unit.frees || what.frees
	l.unit.writes = l.unit.writes || what.writes
	l.unit.sets = l.unit.sets || what.sets
	l.touch(what.touched)
}

// sawExecute notes an Execute. Its portal may have been bound long before, in the same transaction.
func (l *Link) sawExecute(body []byte) {
	l.unit.statements++
	l.unit.executes = true
	here := l.unit.bound && len(body) > 0 && body[0] == 0 // the unnamed portal, of this batch
	if l.unit.portalEnds && !here {
		l.unit.mayEnd = true
	}
}

// cutString cuts a C string off the front of b. ok is false when its end is not in b.
func cutString(b []byte) (s, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i], b[i+1:], true
		}
	}
	return nil, nil, false
}
