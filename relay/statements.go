package relay

import (
	"bytes"
	"slices"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// A client's named prepared statements are its own: a name stands for a state.Statement, which servers have under a name of the
// router's. A Parse of what the server has already becomes a Close of a name that nobody has, whose CloseComplete is shown as
// ParseComplete, so that order, errors and what is read over up to the Sync stay PostgreSQL's own. Bind and Describe are sent with
// the server's name; a server that does not have the statement gets it first.

// Names on servers that are no statement's.
const (
	nobodys = state.StatementPrefix + "?" // never prepared
	taken   = state.StatementPrefix + "!" // prepared right before a Parse that is to fail because of it
)

const (
	// statementLimit is the size in bytes of the longest Parse of a named statement that is kept. A longer one pins the session to
	// its server.
	statementLimit = 64 * 1024
	// namesLimit bounds how many named statements a client may have.
	namesLimit = 10_000
	// nameLength is how many bytes of a statement's name PostgreSQL looks at.
	nameLength = 63
	// scratchKept is the size in bytes of the scratch that a client keeps.
	scratchKept = 1024
)

// Library is where the texts of clients become statements.
type Library interface {
	// Statement returns the statement that a Parse with this behind its name makes under the client's settings of now; of an empty
	// one the text is too long to be kept.
	Statement(parse []byte) *state.Statement
	// Alone returns a statement that is nobody else's: it is parsed under settings that only its transaction has, or means what only its
	// session has.
	Alone(parse []byte) *state.Statement
	// Altered is called when tables may have changed, so that what is parsed from now on is not what was parsed before.
	Altered()
	// Again reports whether the unit of work under way can be sent once more: all of it is at hand.
	Again() bool
	// Restore returns a statement that gives back what the client began with, of settings that a text has reset; "" when the server's
	// defaults are that.
	Restore(reset *state.Touched) string
}

// statements is what a client has prepared under names.
type statements struct {
	byName  map[string]*named
	changes queue[change]
	unseen  []undo         // what was settled of the unit under way, of which the client has seen nothing
	dropped []undo         // what the unit under way has dropped by DEALLOCATE ALL: errors may still speak of it
	words   queue[wording] // of the requests that are Reworded, oldest first
	asking  queue[asking]  // of the requests that are Shaped, oldest first
	bound   bound
	batch   uint32
	scratch []byte // what Insertion and Replacement return
	cleared bool   // the way is clear for the next Parse, which is to fail
	wary    bool   // what runs may drop all of them: who uses one waits for its answer
	own     bool   // there are statements that are not shared
}

// named is a name of the client's.
type named struct {
	name      string
	statement tentative[*state.Statement] // nil: there is none of that name
	described bool                        // the client has asked what its rows look like
	told      shape                       // what it was told
	asked     uint32                      // how many of its questions are not answered
	changes   uint32                      // how often the name was given or taken away
}

// names returns the client's statements. They cost nothing before the first.
func (l *Link) names() *statements {
	if l.statements == nil {
		l.statements = &statements{byName: make(map[string]*named)}
	}
	return l.statements
}

// find returns what is behind a name, nil when there never was anything.
func (s *statements) find(name []byte) *named {
	if s == nil {
		return nil
	}
	return s.byName[string(name[:min(len(name), nameLength)])]
}

// add returns the place of a name that is about to be used.
func (s *statements) add(name []byte) *named {
	if n := s.find(name); n != nil {
		return n
	}
	n := &named{name: string(name[:min(len(name), nameLength)])}
	s.byName[n.name] = n
	return n
}

// settled forgets a name behind which there is nothing and about to be nothing.
func (s *statements) settled(n *named) {
	if n.statement.now == nil && n.statement.unsettled == 0 && s.byName[n.name] == n {
		delete(s.byName, n.name)
	}
}

// nextBatch begins another batch: what is sent from now on does not share the fate of what was sent before.
func (l *Link) nextBatch() {
	if l.statements != nil {
		l.statements.batch++
		l.statements.bound.name = nil
	}
}

// Statements returns how many named statements the client has.
func (l *Link) Statements() int {
	if l.statements == nil {
		return 0
	}
	return len(l.statements.byName)
}

// texts returns where statements come from. A link that was given nothing keeps its own.
func (l *Link) texts() Library {
	if l.Library == nil {
		l.Library = new(privateLibrary)
	}
	return l.Library
}

// prepared returns what the linked server has.
func (l *Link) prepared() *Prepared {
	if l.Prepared == nil {
		l.Prepared = new(Prepared)
	}
	return l.Prepared
}

// privateLibrary is the library of a link alone, of which nothing is sent again.
type privateLibrary struct{ statements state.Statements }

// Statement interns.
func (p *privateLibrary) Statement(parse []byte) *state.Statement {
	if len(parse) == 0 {
		return p.statements.Unshared()
	}
	return p.statements.Intern("", 0, parse)
}

// Alone makes one.
func (p *privateLibrary) Alone(parse []byte) *state.Statement { return p.statements.Alone(parse) }

// Altered does nothing.
func (*privateLibrary) Altered() {}

// Again says no.
func (*privateLibrary) Again() bool { return false }

// Restore has nothing to give back.
func (*privateLibrary) Restore(*state.Touched) string { return "" }

// change notes a change that the next request makes; that request is Named.
func (l *Link) change(ch change) {
	s := l.names()
	if ch.name != nil {
		ch.name.statement.change(ch.to, s.batch)
		ch.name.described, ch.name.told = false, shape{}
		ch.name.changes++
	}
	if ch.held != nil {
		ch.held.there.change(ch.has, s.batch)
		if !ch.has {
			l.prepared().leaving++
		}
	}
	s.changes.push(ch)
}

// settleChange notes that the server has done what the oldest change is.
func (l *Link) settleChange() {
	ch := l.statements.changes.pop()
	if n := ch.name; n != nil {
		if !l.unit.answered {
			l.statements.unseen = append(l.statements.unseen, undo{n, n.statement.now})
		}
		n.statement.settle(ch.to)
		l.statements.settled(n)
	}
	if ch.held != nil {
		if ch.has { // what it looked like when it was parsed before says nothing
			ch.held.shape = shape{}
		}
		l.settleHeld(ch, ch.has)
	}
}

// unsettleChange notes that the server has not done it: it read over it, or failed at it.
func (l *Link) unsettleChange() {
	ch := l.statements.changes.pop()
	if n := ch.name; n != nil {
		n.statement.settle(n.statement.now)
		l.statements.settled(n)
	}
	if ch.held != nil {
		l.settleHeld(ch, ch.held.there.now)
	}
}

func (l *Link) settleHeld(ch change, has bool) {
	p := l.prepared()
	if !ch.has {
		p.leaving--
	}
	ch.held.there.settle(has)
	p.settled(ch.held)
}

// forgetChanges is for a server that is given back or lost: what it had not answered did not happen as far as anybody knows, and
// what only it has is gone.
func (l *Link) forgetChanges() {
	s := l.statements
	if s == nil {
		return
	}
	for !s.changes.empty() {
		l.unsettleChange()
	}
	for !s.asking.empty() {
		l.notTold(false)
	}
	s.bound.name, s.bound.held = nil, nil
	if !l.unit.answered {
		s.takeBack()
	}
	s.unseen, s.dropped = nil, nil
	s.words.clear()
	s.cleared = false
	if cap(s.scratch) > scratchKept {
		s.scratch = nil
	}
	if !s.own {
		return
	}
	s.own = false
	for name, n := range s.byName {
		if !n.statement.now.Shared() {
			delete(s.byName, name)
		}
	}
}

// keepsOwn reports whether there is a statement that only this server can have.
func (s *statements) keepsOwn() bool {
	if s == nil || !s.own {
		return false
	}
	for _, n := range s.byName {
		if st := n.statement.now; st != nil && !st.Shared() {
			return true
		}
	}
	return false
}

// undo is a change of which the client has not been told: if its server is lost now, and the unit is sent again, it is not done.
type undo struct {
	name *named
	was  *state.Statement
}

// takeBack undoes what was settled and not seen, the latest first.
func (s *statements) takeBack() {
	for _, u := range slices.Backward(s.unseen) {
		u.name.statement.now = u.was
		s.byName[u.name.name] = u.name
		s.settled(u.name)
	}
}

// dropStatements is for a server that says that it has dropped all statements: the client's names are gone as well.
func (l *Link) dropStatements() {
	l.prepared().Forget()
	l.noPreparations()
	if l.statements == nil {
		return
	}
	for _, n := range l.statements.byName {
		if n.statement.now != nil {
			l.statements.dropped = append(l.statements.dropped, undo{n, n.statement.now})
		}
		n.statement.now = nil
		l.statements.settled(n)
	}
}

// parseNamed takes a Parse with a name. What a literal in it means depends on the settings, and whether it can be parsed at all on the
// transaction; both are known only when what runs before it is answered.
func (l *Link) parseNamed(f pgwire.Frame, name, parse []byte) Verdict {
	s := l.names()
	if l.fifo.moving > 0 {
		return Verdict{Verb: Full}
	}
	if n := s.find(name); n != nil {
		if before, _ := n.statement.seen(s.batch); before != nil {
			return l.failParse(f, name, wording{from: taken, to: string(name)})
		}
	} else if len(s.byName) >= namesLimit {
		return l.failParse(f, name, wording{instead: pgwire.ErrTooManyStatements.New("")})
	}
	if f.Len > statementLimit {
		return l.parseUnshared(f, name)
	}
	if l.tries(name, parse) {
		return Verdict{Verb: Insert}
	}
	st := l.statementOf(parse)
	p := l.prepared()
	h := p.find(st)
	if h != nil {
		switch there, known := h.there.seen(s.batch); {
		case !known:
			return Verdict{Verb: Full}
		case there && l.Status() != StatusFailed && !h.warned:
			return l.parseHeld(name, st, f.Len)
		case there: // PostgreSQL refuses what it cannot run now, or warns once more
			s.scratch = l.closeHeld(s.scratch[:0], h)
			return Verdict{Verb: Insert}
		}
	}
	if s.scratch = l.makeRoom(s.scratch[:0]); len(s.scratch) > 0 {
		return Verdict{Verb: Insert}
	}
	l.Tally.ClientParses++
	l.Tally.ServerParses++
	l.change(change{name: s.add(name), to: st, held: p.add(st), has: true})
	return l.rename(f, Entry(EntryParse)|Named, nil, name, st.Name())
}

// statementOf returns the statement that a Parse makes now. Where a transaction, or code, has set something, or not all is known of
// what the client has set, its meaning may be another than that of the same text elsewhere; a cursor, or what SQL has prepared, is
// another one in each session.
func (l *Link) statementOf(parse []byte) *state.Statement {
	if !l.unit.sets && !l.inTheDark() && !l.namesOwn(parse) {
		if st := l.texts().Statement(parse); !st.Borrows() {
			return st
		}
	}
	return l.texts().Alone(parse)
}

// heedNotice takes what the server says of its own accord at a request that changes a statement.
func (l *Link) heedNotice(head Entry) {
	if h := l.statements.changes.front().held; h != nil && head.Kind() == EntryParse {
		h.warned = true
	}
}

// parseHeld sends a Close of a name that nobody has in the place of a Parse, of size bytes, of what the server has.
func (l *Link) parseHeld(name []byte, st *state.Statement, size int) Verdict {
	s := l.statements
	l.Tally.ClientParses++
	l.change(change{name: s.add(name), to: st})
	return l.replaceBy(pgwire.AppendClose(s.scratch[:0], pgwire.TargetStatement, nobodys), Entry(EntryClose)|Named|Parsed, size)
}

// parseUnshared takes a Parse that is too long to be kept.
func (l *Link) parseUnshared(f pgwire.Frame, name []byte) Verdict {
	l.pinFor(event.PinPreparedStatement)
	s := l.statements
	s.own = true
	st := l.texts().Statement(nil)
	l.Tally.ClientParses++
	l.Tally.ServerParses++
	l.change(change{name: s.add(name), to: st})
	return l.rename(f, Entry(EntryParse)|Named, nil, name, st.Name())
}

// failParse lets a Parse fail at a name that there is already, whatever else the server has to say of it.
func (l *Link) failParse(f pgwire.Frame, name []byte, w wording) Verdict {
	s := l.statements
	if !s.cleared {
		s.cleared = true
		s.scratch = pgwire.AppendClose(s.scratch[:0], pgwire.TargetStatement, taken)
		s.scratch = pgwire.AppendParse(s.scratch, taken, "", nil)
		l.fifo.push(Entry(EntryClose) | Swallow | Injected)
		l.fifo.push(Entry(EntryParse) | Swallow | Injected)
		return Verdict{Verb: Insert}
	}
	s.cleared = false
	l.Tally.ClientParses++
	s.words.push(w)
	return l.rename(f, Entry(EntryParse)|Reworded, nil, name, taken)
}

// makeRoom appends the Close messages without which the server would have too many statements.
func (l *Link) makeRoom(dst []byte) []byte {
	for h := l.prepared().surplus(); h != nil; h = l.prepared().surplus() {
		l.Tally.Evictions++
		dst = l.closeHeld(dst, h)
	}
	return dst
}

// closeHeld appends the Close of a statement that the server has, and notes it as outstanding.
func (l *Link) closeHeld(dst []byte, h *held) []byte {
	l.change(change{held: h})
	l.fifo.push(Entry(EntryClose) | Swallow | Injected | Named)
	return pgwire.AppendClose(dst, pgwire.TargetStatement, h.statement.Name())
}

// use says what stands before a message that uses a named statement: nothing, the wait until it is settled which one that is, or its
// Parse, because the server does not have it. st is nil when there is no such statement.
func (l *Link) use(n *named) (st *state.Statement, verb Verb) {
	s := l.statements
	s.wary = s.wary && l.fifo.moving > 0
	st, known := n.statement.seen(s.batch)
	switch {
	case s.wary:
		return nil, Full
	case !known:
		return nil, Full
	case st == nil || !st.Shared():
		return st, More
	}
	if verb := l.has(st); verb != Insert {
		return st, verb
	}
	if n.statement.unsettled == 0 { // it is parsed anew, under the settings of now
		n.statement.now = l.statementOf([]byte(st.Parse()))
		if st = n.statement.now; l.has(st) != Insert {
			return st, l.has(st)
		}
	}
	s.scratch = l.makeRoom(s.scratch[:0])
	s.scratch = st.AppendParse(s.scratch)
	l.change(change{held: l.prepared().add(st), has: true})
	l.fifo.push(Entry(EntryParse) | Swallow | Injected | Named)
	l.Tally.ServerParses++
	l.Tally.Injected++
	return st, Insert
}

// has returns More when the server has a statement, Full when that is not known yet, and Insert when it has not.
func (l *Link) has(st *state.Statement) Verb {
	h := l.prepared().find(st)
	if h == nil {
		return Insert
	}
	switch there, known := h.there.seen(l.statements.batch); {
	case !known:
		return Full
	case there:
		return More
	}
	return Insert
}

// bindNamed takes a Bind of a named statement. front is what stands before the name: the portal's, with its NUL.
func (l *Link) bindNamed(f pgwire.Frame, front, name []byte) Verdict {
	st, v := l.useNamed(name)
	if v.Verb != More {
		return v
	}
	n := l.statements.find(name)
	if st != nil {
		verb, refused := l.fits(n, st)
		switch {
		case verb != More:
			return Verdict{Verb: verb}
		case refused && l.refits(n):
			return l.bindNamed(f, front, name)
		case refused:
			return l.failChanged(f, front, name)
		}
	}
	what := does{writes: true, pins: l.unit.later} // it may have come by SQL's PREPARE
	if st != nil {
		class := st.Class()
		what = does{
			mayEnd: class.MayEnd, writes: !l.standby || !st.ReadOnly(), pins: event.PinsOf(class.Pin), frees: class.Frees,
			touched: st.Touched(), later: event.PinsOf(class.Later), sets: st.Shifts(),
		}
		if st.NamesPrepared() {
			what = what.and(l.executing([]byte(st.SQL()), true))
		}
	} else if prepared, ok := l.sql.mine.Find(string(name)); ok {
		what.runs(prepared.Statement)
	}
	if why := l.refuses(what.allPins()); why != event.PinNone {
		return l.refuseBind(f, front, name, why)
	}
	l.Tally.Binds++
	l.sawBind(front, &what)
	if st != nil {
		l.statements.bindsTo(front, n, l.prepared().find(st))
	}
	if st == nil {
		return l.unknown(f, EntryBind, front, name)
	}
	return l.rename(f, Entry(EntryBind), front, name, st.Name())
}

// describeNamed takes a Describe of a named statement.
func (l *Link) describeNamed(f pgwire.Frame, name []byte) Verdict {
	st, v := l.useNamed(name)
	if v.Verb != More {
		return v
	}
	if st == nil {
		return l.unknown(f, EntryDescribe, describesStatement, name)
	}
	n := l.statements.find(name)
	n.described, l.unit.describes = true, true
	return l.rename(f, Entry(EntryDescribe)|l.asks(asking{name: n, held: l.prepared().find(st)}), describesStatement, name, st.Name())
}

// useNamed is use for the name in a message.
func (l *Link) useNamed(name []byte) (*state.Statement, Verdict) {
	n := l.statements.find(name)
	if n == nil {
		return nil, Verdict{}
	}
	st, verb := l.use(n)
	if verb == More {
		l.noteUse(n)
	}
	return st, Verdict{Verb: verb}
}

// closeNamed takes a Close of a named statement. The server keeps it, for others; one that is nobody else's goes.
func (l *Link) closeNamed(f pgwire.Frame, name []byte) Verdict {
	n := l.statements.find(name)
	if n == nil {
		return l.unknown(f, EntryClose, describesStatement, name)
	}
	to := nobodys
	if l.statements.own {
		switch st, known := n.statement.seen(l.statements.batch); {
		case !known:
			return Verdict{Verb: Full}
		case st != nil && !st.Shared():
			to = st.Name()
		}
	}
	l.change(change{name: n})
	return l.rename(f, Entry(EntryClose)|Named, describesStatement, name, to)
}

// unknown takes a message with a name of which nothing is known. It is sent as it is, so that what SQL's PREPARE has made is found and
// an error carries the client's own name; but nobody reaches what is another's.
func (l *Link) unknown(f pgwire.Frame, kind EntryKind, before, name []byte) Verdict {
	if kind == EntryClose && (l.unit.prepares || l.sql.any()) {
		l.unit.drops, l.unit.frees = true, true
		l.AskLater(AskPrepared)
	}
	if !bytes.HasPrefix(name, statementPrefix) {
		l.unit.open = true
		l.fifo.push(Entry(kind))
		return Verdict{}
	}
	if kind == EntryClose {
		return l.rename(f, Entry(kind), before, name, nobodys)
	}
	l.names().words.push(wording{from: nobodys, to: string(name)})
	return l.rename(f, Entry(kind)|Reworded, before, name, nobodys)
}

// rename notes a request, and lets its front be replaced by one with another name. before is what stands in front of the name.
func (l *Link) rename(f pgwire.Frame, e Entry, before, name []byte, to string) Verdict {
	skip := pgwire.HeaderLen + len(before) + len(name) + 1
	l.up = stream{rest: f.Len - skip}
	return l.replaceBy(pgwire.AppendRenamed(l.names().scratch[:0], f.Kind, before, to, f.Len-skip), e, skip)
}

// replaceBy notes a request of which the first bytes are replaced.
func (l *Link) replaceBy(front []byte, e Entry, skip int) Verdict {
	l.statements.scratch = front
	l.unit.open = true
	l.fifo.push(e)
	return Verdict{Verb: Replace, Skip: skip}
}

// Replacement returns what goes out in the place of the Skip bytes, after FromClient or FromServer said Replace. It is valid until
// the next call.
func (l *Link) Replacement() []byte { return l.statements.scratch }

// Constant bytes.
var (
	statementPrefix    = []byte(state.StatementPrefix)
	describesStatement = []byte{pgwire.TargetStatement}
)
