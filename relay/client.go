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
	l.sequences.recalls = l.recall(kind, body)
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
			if l.up.drop {
				return l.dropRest(n, len(b)-n)
			}
			k := min(l.up.rest, len(b)-n)
			l.up.rest -= k
			if l.passing != nil {
				l.judgeOn(b[n : n+k])
			}
			n += k
			if l.up.rest == 0 && l.unit.lateCopy {
				l.unit.lateCopy = false
				return Verdict{N: n, Verb: UnitEnd}
			}
			continue
		}
		f, ok, err := pgwire.PeekFrontend(b[n:])
		if err != nil {
			return Verdict{N: n, Verb: Refuse, Fault: fault(err)}
		}
		have := min(f.Len, len(b)-n)
		if !ok || have < needed(f) {
			break
		}
		if v := l.admit(f, b[n:n+have]); v.Verb != More {
			v.N = n
			return l.stopped(v)
		}
		l.glanced.known = false
		l.up.rest, l.up.drop = f.Len-have, false
		n += have
	}
	return Verdict{N: n}
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

// admit notes one message that is about to be forwarded; msg is the whole of it, or the beginning of a long one. Any verb
// but More stands before the message.
func (l *Link) admit(f pgwire.Frame, msg []byte) Verdict {
	if l.healing || l.fifo.full() {
		return Verdict{Verb: Full}
	}
	kind := entryOf(f.Kind)
	switch {
	case f.Kind == pgwire.KindTerminate:
		return Verdict{Verb: Terminate, Skip: len(msg)}
	case isCopy(f.Kind):
		return l.admitCopy(f, len(msg))
	case f.Kind == pgwire.KindFlush:
		return Verdict{}
	case kind == EntryNone:
		return Verdict{Verb: Refuse, Fault: unexpected(f.Kind)}
	case l.copyIn:
		return l.admitIntoCopy(kind)
	case kind == EntrySync:
		l.skipping, l.unnamed.inBatch = false, false
		l.nextBatch()
		l.unit.open, l.unit.bound, l.unit.executes = false, false, false
		l.doubtful()
		l.fifo.push(Entry(EntrySync))
		return Verdict{}
	case l.skipping: // the server reads over it, and answers nothing
		l.doubtful()
		return Verdict{}
	}
	if l.refusing() {
		if v, refused := l.refuse(f, msg[pgwire.HeaderLen:]); refused {
			return v
		}
	}
	if verb := l.forgets(kind, msg[pgwire.HeaderLen:]); verb != More {
		return Verdict{Verb: verb}
	}
	if l.sql.foreign {
		if verb := l.clearsForeign(kind, msg[pgwire.HeaderLen:], len(msg) == f.Len); verb != More {
			return Verdict{Verb: verb}
		}
	}
	if v, named := l.admitNamed(f, msg); named {
		return v
	}
	return l.admitRequest(kind, msg, len(msg) == f.Len)
}

// admitNamed takes a request that names a prepared statement. named is false when it does not.
func (l *Link) admitNamed(f pgwire.Frame, msg []byte) (v Verdict, named bool) {
	body := msg[pgwire.HeaderLen:]
	switch f.Kind {
	case pgwire.KindParse:
		if name, parse, ok := cutString(body); ok && len(name) > 0 {
			return l.inserted(l.parseNamed(f, name, parse)), true
		}
	case pgwire.KindBind:
		portal, rest, _ := cutString(body)
		if name, _, ok := cutString(rest); ok && len(name) > 0 {
			return l.inserted(l.bindNamed(f, body[:len(portal)+1], name)), true
		}
	case pgwire.KindDescribe, pgwire.KindClose:
		if len(body) < 3 || body[0] != pgwire.TargetStatement {
			return Verdict{}, false
		}
		name, _, ok := cutString(body[1:])
		switch {
		case !ok || len(name)+2 != len(body):
		case f.Kind == pgwire.KindClose:
			return l.closeNamed(f, name), true
		default:
			return l.inserted(l.describeNamed(f, name)), true
		}
	}
	return Verdict{}, false
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

func (l *Link) admitRequest(kind EntryKind, msg []byte, whole bool) Verdict {
	body := msg[pgwire.HeaderLen:]
	entry, verb := l.before(kind, body, whole)
	if verb != More {
		return Verdict{Verb: verb}
	}
	open := true
	switch kind {
	case EntryQuery:
		if restores := l.sawQuery(body, whole); restores != "" {
			return l.restore(entry, textOf(body), restores)
		}
		open = false
	case EntryParse:
		l.Tally.ClientParses++
		l.Tally.ServerParses++
		l.sawParse(msg, whole)
	case EntryBind:
		portal, _, _ := cutString(body)
		l.Tally.Binds++
		l.sawBind(body[:min(len(portal)+1, len(body))], l.runsUnnamed())
		if l.statements != nil {
			l.statements.bound.name = nil
		}
	case EntryDescribe:
		l.unit.describes = true
		entry |= l.describesPortal(body)
	case EntryClose:
		if entry&Unnamed != 0 {
			l.unnamed.inBatch = true // what follows shares its fate
		}
	case EntryExecute:
		l.sawExecute(body)
	case EntryFunctionCall:
		l.unit.statements++
		l.unit.writes = true
		open = false
		if !isLargeObject(body) { // it may be a lock, a setting, anything
			l.pinFor(event.PinUncertain)
		}
	case EntryNone, EntrySync, EntryCopyEnd:
	}
	if entry&Unnamed != 0 {
		l.unnamed.unsettled++
	}
	l.unit.open = open
	l.fifo.push(entry)
	return Verdict{}
}

// before says what stands before a request, and how it is noted when that is nothing.
func (l *Link) before(kind EntryKind, body []byte, whole bool) (Entry, Verb) {
	switch kind {
	case EntryQuery:
		dropped, verb := l.beforeText(body, true, whole)
		return Entry(kind) | Unnamed | dropped, verb
	case EntryParse:
		if len(body) == 0 || body[0] != 0 { // a name that does not end
			return Entry(kind), More
		}
		dropped, verb := l.beforeText(body[1:], false, whole)
		return Entry(kind) | Unnamed | dropped, verb
	case EntryBind:
		_, rest, _ := cutString(body)
		if _, _, ok := cutString(rest); ok {
			return Entry(kind), l.useUnnamed()
		}
	case EntryDescribe:
		if isUnnamedStatement(body) {
			return Entry(kind), l.useUnnamed()
		}
	case EntryClose:
		if isUnnamedStatement(body) {
			return Entry(kind) | Unnamed, More
		}
	case EntryNone, EntryExecute, EntrySync, EntryFunctionCall, EntryCopyEnd:
	}
	return Entry(kind), More
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
		return ""
	}
	glance := l.glanceAt(EntryQuery, body)
	text := glance.Text(body)
	class := glance.Classify(text)
	touched := touches(class, text)
	if len(text)+1 == len(body) {
		restores = l.restoring(class, text, touched)
	}
	l.unit.later = l.unit.later.With(class.Later)
	l.runsPrepared(text, true)
	l.touch(touched)
	l.unit.sets = l.unit.sets || class.Sets && state.Shifts(text)
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

// admitIntoCopy passes a Sync that a client sends into its own COPY: PostgreSQL reads over it there, but it may have left the
// COPY already, with an error that is still on its way. What it will answer cannot be known, so the server is not given to
// anybody else. Any other request fails the COPY in PostgreSQL; which of the two it would meet cannot be known either, and no
// client that means well sends one, so that it is refused.
func (l *Link) admitIntoCopy(kind EntryKind) Verdict {
	if kind != EntrySync {
		return Verdict{Verb: Refuse, Fault: pgwire.ErrProtocol.New("A request was sent while COPY FROM STDIN was under way.")}
	}
	l.doubt()
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

func isUnnamedStatement(body []byte) bool { return len(body) == 2 && body[0] == 'S' && body[1] == 0 }

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
func entryOf(kind byte) EntryKind {
	switch kind {
	case pgwire.KindQuery:
		return EntryQuery
	case pgwire.KindParse:
		return EntryParse
	case pgwire.KindBind:
		return EntryBind
	case pgwire.KindDescribe:
		return EntryDescribe
	case pgwire.KindExecute:
		return EntryExecute
	case pgwire.KindClose:
		return EntryClose
	case pgwire.KindSync:
		return EntrySync
	case pgwire.KindFunctionCall:
		return EntryFunctionCall
	}
	return EntryNone
}
