package relay

import (
	"encoding/binary"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// Verb says what follows the bytes that may be forwarded.
type Verb uint8

// The verbs of both directions.
const (
	// More: everything whole has been read; what follows is the beginning of a message and must be kept until there is more.
	More Verb = iota
	// Drop: the next Skip bytes go to nobody; call again behind them.
	Drop
	// Insert (from the client): send Insertion() first, then call again with the rest.
	Insert
	// Replace: drop the next Skip bytes and send Replacement() in their place, then call again behind them.
	Replace
	// Start (from a client without a server): a unit of work begins here; link a server, then use FromClient.
	Start
	// Ready (from a client without a server): drop Skip bytes and answer ReadyForQuery 'I'; see Cancelled.
	Ready
	// Terminate (from the client): it says good-bye; Skip bytes are the message.
	Terminate
	// Full (from the client): too much is outstanding; read no more until the server has answered.
	Full
	// Refuse (from the client): it broke the protocol; Fault says how, the connection ends.
	Refuse
	// UnitEnd (from the server; from the client behind late CopyData): the unit of work has ended with the bytes before.
	UnitEnd
	// Settle (from the server): the unit of work would end with the Skip bytes, a ReadyForQuery 'I' that the client has not seen. Ask
	// the server Questions with a Postlude, and then say it.
	Settle
	// Row (from the server): the Skip bytes are a row of the postlude's answer.
	Row
	// Settled (from the server): the postlude was answered; drop Skip bytes. The unit of work has ended.
	Settled
	// SettleFailed (from the server): as Settled, but the server refused to answer.
	SettleFailed
	// PreludeDone (from the server): our own prelude was accepted; drop Skip bytes.
	PreludeDone
	// Again (from the server): drop Skip bytes, a ReadyForQuery. The unit of work has failed at something that is mended now, and
	// nothing of it was shown or done: send all of it once more.
	Again
	// PreludeFailed (from the server): our own prelude was refused; Skip bytes are the ErrorResponse.
	PreludeFailed
	// Fatal (from the server): the next Skip bytes are an ErrorResponse after which the server goes.
	Fatal
	// Dying (from the server): the next Skip bytes are a warning that the server is about to end. Neither they nor the N bytes
	// in front of them need be shown, see Lost; who shows them says so with Shown.
	Dying
	// Demoted (from the server): the next Skip bytes are the error of a server that must not write any more. The client must not
	// see it: it would go on with what cannot write.
	Demoted
	// Violation (from the server): a message that nobody asked for; the server connection must die.
	Violation
)

// Verdict is what to do with a piece of a stream: forward the first N bytes, then follow Verb.
type Verdict struct {
	N     int
	Verb  Verb
	Pin   event.PinReason // with Replace, from the client: why the request is refused, see Link.RefusePins
	Skip  int
	Fault *pgwire.Error // with Refuse
}

// Begin reads the front of what a client without a server has sent. It consumes nothing: the verdict is More (a message is
// not whole yet), Start, or what can be answered without a server: Drop for what PostgreSQL ignores outside of a query,
// Terminate, Ready, Refuse.
func (l *Link) Begin(b []byte) Verdict {
	if l.up.rest > 0 {
		return l.dropRest(0, len(b))
	}
	f, ok, err := pgwire.PeekFrontend(b)
	switch {
	case err != nil:
		return Verdict{Verb: Refuse, Fault: fault(err)}
	case !ok:
		return Verdict{Verb: More}
	}
	have := min(f.Len, len(b))
	switch f.Kind {
	case pgwire.KindTerminate:
		return Verdict{Verb: Terminate, Skip: have}
	case pgwire.KindCopyData, pgwire.KindCopyDone, pgwire.KindCopyFail, pgwire.KindFlush:
		return l.drop(0, f.Len, len(b))
	}
	if have < needed(f) {
		return Verdict{Verb: More}
	}
	if l.skipping {
		return l.beginSkipping(f, len(b))
	}
	kind, body := entryOf(f.Kind), b[pgwire.HeaderLen:have]
	if kind == EntryNone {
		return Verdict{Verb: Refuse, Fault: unexpected(f.Kind)}
	}
	l.glance(kind, body, have == f.Len)
	return Verdict{Verb: Start}
}

// beginSkipping reads on after a cancelled batch that had no Sync yet.
func (l *Link) beginSkipping(f pgwire.Frame, have int) Verdict {
	if f.Kind != pgwire.KindSync {
		return l.drop(0, f.Len, have)
	}
	l.skipping = false
	return Verdict{Verb: Ready, Skip: f.Len}
}

// Cancelled throws away the first request that waits in b, or the first batch, because it was cancelled before it reached a server. It
// returns how many bytes of b are gone, and what the client is owed for them: an error if they asked for something, and ReadyForQuery
// behind a Query, a FunctionCall and a Sync. A batch without its Sync is skipped up to it, a message of which only a part is here up to
// its end.
func (l *Link) Cancelled(b []byte) (used int, failed, ready bool) {
	l.glanced.known = false
	for !ready {
		f, ok, err := pgwire.PeekFrontend(b[used:])
		if err != nil || !ok || f.Kind == pgwire.KindTerminate {
			break
		}
		have := min(f.Len, len(b)-used)
		used += have
		l.up = stream{rest: f.Len - have, drop: true}
		switch kind := entryOf(f.Kind); {
		case kind == EntrySync:
			l.skipping, ready = false, true
		case kind == EntryNone, l.skipping:
		default:
			failed, ready = true, Entry(kind).EndsUnit()
			l.skipping = !ready
		}
	}
	return used, failed, ready
}

// FromClient reads what a client with a server has sent, notes what it asks, and says what to do with it.
func (l *Link) FromClient(b []byte) Verdict {
	n := 0
	for n < len(b) {
		if l.up.rest > 0 {
			v := l.goesOn(b[n:])
			if n += v.N; v.Verb != More {
				v.N = n
				return v
			}
			continue
		}
		size := pgwire.WholeFrontend(b[n:])
		have := size
		if size == 0 {
			var v Verdict
			if size, v = comes(b[n:]); size == 0 {
				v.N = n
				return v
			}
			have = len(b) - n
		}
		if v := l.admit(b[n:n+have], size); v.Verb != More {
			v.N = n
			return l.stopped(v)
		}
		l.glanced.known = false
		l.up = stream{rest: size - have}
		n += have
	}
	return Verdict{N: n}
}

// goesOn takes what follows of a message whose beginning has passed, or was dropped.
func (l *Link) goesOn(b []byte) Verdict {
	if l.up.drop {
		return l.dropRest(0, len(b))
	}
	k := min(l.up.rest, len(b))
	l.up.rest -= k
	if l.passing != nil {
		l.judgeOn(b[:k])
	}
	if l.up.rest == 0 && l.unit.lateCopy {
		l.unit.lateCopy = false
		return Verdict{N: k, Verb: UnitEnd}
	}
	return Verdict{N: k}
}

// comes returns the size of a message that is not here as a whole, when enough of it is here to let that pass; else 0 and why not.
func comes(b []byte) (size int, v Verdict) {
	f, ok, err := pgwire.PeekFrontend(b)
	switch {
	case err != nil:
		return 0, Verdict{Verb: Refuse, Fault: fault(err)}
	case !ok || len(b) < needed(f):
		return 0, Verdict{}
	}
	return f.Len, Verdict{}
}

// needed returns how much of a client's message must be here before it passes: all of a short one, the front of a long one
// whose names matter, the header of any other long one.
func needed(f pgwire.Frame) int {
	if f.Len <= holdLimit {
		return f.Len
	}
	switch f.Kind {
	case pgwire.KindParse:
		return min(f.Len, statementLimit)
	case pgwire.KindQuery, pgwire.KindBind:
		return holdLimit
	}
	return pgwire.HeaderLen
}

// stopped leaves a message where it stands, or throws it away. What Begin has seen of it counts where it comes again.
func (l *Link) stopped(v Verdict) Verdict {
	l.glanced.known = l.glanced.known && (v.Verb == Insert || v.Verb == Full)
	return v
}

// admit notes one message of a size in bytes that is about to be forwarded; msg is the whole of it, or the beginning of a long one. Any
// verb but More stands before the message.
func (l *Link) admit(msg []byte, size int) Verdict {
	if l.healing || l.fifo.full() {
		return Verdict{Verb: Full}
	}
	kind := entryOf(msg[0])
	switch {
	case kind == EntrySync:
		return l.admitSync()
	case kind == EntryNone:
		return l.admitUnasking(frame(msg, size), len(msg))
	case l.copyIn:
		return Verdict{Verb: Refuse, Fault: pgwire.ErrProtocol.New("A request was sent while COPY FROM STDIN was under way.")}
	case l.skipping: // the server reads over it, and answers nothing
		l.doubtful()
		return Verdict{}
	}
	if l.refusing() {
		if v, refused := l.refuse(frame(msg, size), msg[pgwire.HeaderLen:]); refused {
			return v
		}
	}
	if l.sequences.foreign {
		if verb := l.forgets(kind, msg[pgwire.HeaderLen:]); verb != More {
			return Verdict{Verb: verb}
		}
	}
	if l.sql.missing != nil && l.retries() {
		return Verdict{Verb: Insert}
	}
	if l.sql.foreign {
		if verb := l.clearsForeign(kind, msg[pgwire.HeaderLen:], len(msg) == size); verb != More {
			return Verdict{Verb: verb}
		}
	}
	return l.admitRequest(kind, msg, size)
}

// frame returns the header of a message that is here at least in part.
func frame(msg []byte, size int) pgwire.Frame { return pgwire.Frame{Kind: msg[0], Len: size} }

// admitUnasking takes what has no answer of its own.
func (l *Link) admitUnasking(f pgwire.Frame, have int) Verdict {
	switch {
	case f.Kind == pgwire.KindTerminate:
		return Verdict{Verb: Terminate, Skip: have}
	case isCopy(f.Kind):
		return l.admitCopy(f, have)
	case f.Kind == pgwire.KindFlush:
		return Verdict{}
	}
	return Verdict{Verb: Refuse, Fault: unexpected(f.Kind)}
}

// admitSync passes a Sync. That which a client sends into its own COPY PostgreSQL reads over there, but it may have left the COPY
// already, with an error that is still on its way. What it will answer cannot be known, so the server is not given to anybody else. (Any
// other request fails the COPY in PostgreSQL; which of the two it would meet cannot be known either, and no client that means well sends
// one, so that it is refused.)
func (l *Link) admitSync() Verdict {
	if l.copyIn {
		l.doubt()
		return Verdict{}
	}
	l.skipping, l.unnamed.inBatch = false, false
	l.nextBatch()
	l.unit.open, l.unit.bound, l.unit.executes = false, false, false
	l.doubtful()
	l.fifo.push(Entry(EntrySync))
	return Verdict{}
}

// inserted notes for whom Insertion is asked.
func (l *Link) inserted(v Verdict) Verdict {
	l.inserts = v.Verb == Insert
	return v
}

// doubtful is for what is sent before it is known whether a Sync sent into a COPY will be answered: this request, or that Sync,
// or both will be.
func (l *Link) doubtful() {
	if l.unit.copySync {
		l.doubt()
		l.unit.mayEnd, l.unit.writes = true, true // it is not read
	}
}

func (l *Link) admitRequest(kind EntryKind, msg []byte, size int) Verdict {
	switch kind {
	case EntryQuery:
		return l.admitQuery(msg, size)
	case EntryParse:
		return l.admitParse(msg, size)
	case EntryBind:
		return l.admitBind(msg, size)
	case EntryDescribe:
		return l.admitDescribe(msg, size)
	case EntryClose:
		return l.admitClose(msg, size)
	case EntryExecute:
		l.sawExecute(msg[pgwire.HeaderLen:])
		return l.inBatch(Entry(EntryExecute))
	default:
		return l.admitFunctionCall(msg[pgwire.HeaderLen:])
	}
}

// inBatch notes as outstanding what a Sync must follow.
func (l *Link) inBatch(entry Entry) Verdict {
	l.unit.open = true
	l.fifo.push(entry)
	return Verdict{}
}

func (l *Link) admitQuery(msg []byte, size int) Verdict {
	body, whole := msg[pgwire.HeaderLen:], len(msg) == size
	dropped, verb := l.beforeText(body, true, whole)
	if verb != More {
		return Verdict{Verb: verb}
	}
	entry := Entry(EntryQuery) | Unnamed | dropped
	if restores := l.sawQuery(body, whole); restores != "" {
		return l.restore(entry, textOf(body), restores)
	}
	l.unnamed.unsettled++
	l.unit.open = false
	l.fifo.push(entry)
	return Verdict{}
}

func (l *Link) admitParse(msg []byte, size int) Verdict {
	entry, whole := Entry(EntryParse), len(msg) == size
	name, parse, ok := cutString(msg[pgwire.HeaderLen:])
	switch {
	case ok && len(name) > 0:
		return l.inserted(l.parseNamed(frame(msg, size), name, parse))
	case ok:
		dropped, verb := l.beforeText(parse, false, whole)
		if verb != More {
			return Verdict{Verb: verb}
		}
		entry |= Unnamed | dropped
		l.unnamed.unsettled++
	}
	l.Tally.ClientParses++
	l.Tally.ServerParses++
	l.sawParse(msg, whole)
	return l.inBatch(entry)
}

func (l *Link) admitBind(msg []byte, size int) Verdict {
	body := msg[pgwire.HeaderLen:]
	portal, rest, _ := cutString(body)
	name, _, ok := cutString(rest)
	switch {
	case ok && len(name) > 0:
		return l.inserted(l.bindNamed(frame(msg, size), body[:len(portal)+1], name))
	case ok:
		if verb := l.useUnnamed(); verb != More {
			return Verdict{Verb: verb}
		}
	}
	l.Tally.Binds++
	what := l.doesUnnamed()
	if l.runsOthers() {
		all := l.runsUnnamed()
		what = &all
	}
	l.sawBind(body[:min(len(portal)+1, len(body))], what)
	if l.statements != nil {
		l.statements.bound.name = nil
	}
	return l.inBatch(Entry(EntryBind))
}

func (l *Link) admitDescribe(msg []byte, size int) Verdict {
	body := msg[pgwire.HeaderLen:]
	if name, ok := ofStatement(body); ok && len(name) > 0 {
		return l.inserted(l.describeNamed(frame(msg, size), name))
	} else if ok {
		if verb := l.useUnnamed(); verb != More {
			return Verdict{Verb: verb}
		}
	}
	l.unit.describes = true
	return l.inBatch(Entry(EntryDescribe) | l.describesPortal(body))
}

func (l *Link) admitClose(msg []byte, size int) Verdict {
	name, ok := ofStatement(msg[pgwire.HeaderLen:])
	switch {
	case !ok:
		return l.inBatch(Entry(EntryClose))
	case len(name) > 0:
		return l.closeNamed(frame(msg, size), name)
	}
	l.unnamed.inBatch = true // what follows shares its fate
	l.unnamed.unsettled++
	return l.inBatch(Entry(EntryClose) | Unnamed)
}

func (l *Link) admitFunctionCall(body []byte) Verdict {
	l.unit.statements++
	l.unit.writes = true
	l.unit.open, l.unnamed.inBatch = false, false
	if !isLargeObject(body) { // it may be a lock, a setting, anything
		l.pinFor(event.PinUncertain)
	}
	l.fifo.push(Entry(EntryFunctionCall))
	return Verdict{}
}

// ofStatement returns the name of the statement that a Describe or a Close is of; ok is false when it is of a portal, or cannot be read.
func ofStatement(body []byte) (name []byte, ok bool) {
	if len(body) < 2 || body[0] != pgwire.TargetStatement {
		return nil, false
	}
	name, rest, ok := cutString(body[1:])
	return name, ok && len(rest) == 0
}

// sawQuery notes a Query, and returns what is put behind its text, "" when nothing is. A long one of which only the beginning is here is
// judged on while it passes.
func (l *Link) sawQuery(body []byte, whole bool) (restores string) {
	if l.unit.executes && l.Status() == StatusIdle { // PostgreSQL 18 says then that it is idle, and leaves its transaction open
		l.Doubt()
	}
	l.unit.executes = false
	l.unnamed.inBatch = false
	l.nextBatch()
	l.unit.statements++
	if !whole {
		l.passing = new(state.Stream)
		l.passing.Read(body)
		l.pinFor(l.passing.Pin())
		l.runsPrepared(nil, false)
		l.unit.untold = true
		return ""
	}
	glance := l.glanceAt(EntryQuery, body)
	text := glance.Text(body)
	class := glance.Classify(text)
	if class == (state.Class{}) && !l.runsOthers() { // most texts
		l.unit.writes = l.unit.writes || l.mayWrite(text)
		return ""
	}
	touched := touches(class, text)
	if len(text)+1 == len(body) {
		restores = l.restoring(class, text, touched)
	}
	l.unit.later = l.unit.later.With(class.Later)
	l.runsPrepared(text, true)
	l.touch(touched)
	l.unit.sets = l.unit.sets || class.Sets && state.Shifts(text)
	l.unit.untold = l.unit.untold || class.Multi && state.NamesPrepared(text)
	l.judged(class, l.mayWrite(text))
	return restores
}

// judgeOn reads the next piece of a long query string that passes. What pins does so at once; what else it means counts from
// its end, before which Lost expects the worst.
func (l *Link) judgeOn(piece []byte) {
	l.passing.Read(piece)
	l.pinFor(l.passing.Pin())
	if l.up.rest == 0 {
		class := l.passing.End()
		if class.Touches { // it cannot be read again
			l.pinFor(event.PinSetting)
		}
		l.unit.later = l.unit.later.With(class.Later)
		l.runsPrepared(nil, false)
		l.unit.sets = l.unit.sets || class.Sets
		l.judged(class, !l.passing.ReadOnly())
		l.passing = nil
	}
}

// judged notes what the text of a Query means.
func (l *Link) judged(class state.Class, writes bool) {
	if class.Multi {
		l.unit.statements++
	}
	l.pinFor(pinOfQuery(class))
	l.unit.mayEnd = l.unit.mayEnd || class.MayEnd
	l.unit.frees = l.unit.frees || class.Frees
	l.unit.writes = l.unit.writes || writes
}

// mayWrite reports whether a query string may change the database. It matters only where a server says that it cannot be
// changed, and is not asked elsewhere.
func (l *Link) mayWrite(text []byte) bool { return !l.standby || !state.ReadOnly(text) }

// admitCopy passes CopyData, CopyDone and CopyFail while anything is outstanding: the server may be in COPY, and reads over
// them when it is not. Late ones, after its answer, are dropped.
func (l *Link) admitCopy(f pgwire.Frame, have int) Verdict {
	if l.fifo.count == 0 {
		return l.drop(0, f.Len, have)
	}
	l.unit.writes = true
	if f.Kind == pgwire.KindCopyData {
		return Verdict{}
	}
	if !l.copyIn {
		l.fifo.push(Entry(EntryCopyEnd))
	}
	l.copyIn = false
	return Verdict{}
}

// drop begins to throw away a message of size bytes that starts behind n forwarded bytes, of which have are here.
func (l *Link) drop(n, size, have int) Verdict {
	l.up = stream{rest: size, drop: true}
	return l.dropRest(n, have)
}

func (l *Link) dropRest(n, have int) Verdict {
	k := min(l.up.rest, have)
	l.up.rest -= k
	return Verdict{N: n, Verb: Drop, Skip: k}
}

func isCopy(kind byte) bool {
	return kind == pgwire.KindCopyData || kind == pgwire.KindCopyDone || kind == pgwire.KindCopyFail
}

// isLargeObject reports whether a FunctionCall is of one of the functions that libpq calls so: those of large objects, whose
// descriptors end with their transaction. The numbers are those of PostgreSQL's pg_proc.dat, which never change.
func isLargeObject(body []byte) bool {
	if len(body) < 4 {
		return false
	}
	switch binary.BigEndian.Uint32(body) {
	case 715, 952, 953, 954, 955, 956, 957, 958, 964, 1004, 3170, 3171, 3172:
		return true
	}
	return false
}

// entryOf returns what a frontend message asks, EntryNone for those that ask nothing.
func entryOf(kind byte) EntryKind { return entryKinds[kind] }

// entryKinds is what each kind of frontend message asks.
var entryKinds = [256]EntryKind{
	pgwire.KindQuery: EntryQuery, pgwire.KindParse: EntryParse, pgwire.KindBind: EntryBind, pgwire.KindDescribe: EntryDescribe,
	pgwire.KindExecute: EntryExecute, pgwire.KindClose: EntryClose, pgwire.KindSync: EntrySync, pgwire.KindFunctionCall: EntryFunctionCall,
}
