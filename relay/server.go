package relay

import (
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// FromServer reads what a linked server has sent, takes what it answers off the FIFO, and says what to do with it.
func (l *Link) FromServer(b []byte) Verdict {
	n := 0
	for n < len(b) {
		if l.down.rest > 0 {
			k := min(l.down.rest, len(b)-n)
			l.down.rest -= k
			if l.down.drop {
				return l.passed(Verdict{N: n, Verb: Drop, Skip: k})
			}
			n += k
			continue
		}
		if k := l.plain(b[n:]); k > 0 {
			n += k
			continue
		}
		f, ok, err := pgwire.PeekBackend(b[n:])
		if err != nil || l.fifo.count == 0 && f.Len > unaskedLimit {
			return l.passed(Verdict{N: n, Verb: Violation})
		}
		have := min(f.Len, len(b)-n)
		if !ok || have < f.Len && have < l.awaited(f) {
			break
		}
		l.ahead = n
		v := Verdict{Verb: l.observe(f, b[n:n+have])}
		switch v.Verb {
		case More:
			l.down.rest, l.down.drop = f.Len-have, false
			n += have
			continue
		case Drop, PreludeDone, Settle, Row, Settled, SettleFailed, Again, Replace:
			l.down.rest, l.down.drop = f.Len-have, true
			v.Skip = have
		case UnitEnd:
			n += have
		case PreludeFailed, Fatal, Dying, Demoted:
			v.Skip = have
		default: // Violation: nothing of it goes anywhere
		}
		v.N = n
		return l.passed(v)
	}
	return l.passed(Verdict{N: n})
}

// plain takes the whole messages that b begins with as long as each says nothing but that the oldest request gets on, or was done, be it
// with a number of a sequence, and that request has no mark that asks for more. These are most of what a server sends: rows above all. It
// returns their length; what follows is for observe, which would answer More to each of them.
func (l *Link) plain(b []byte) (n int) {
	for {
		size := pgwire.WholeBackend(b[n:])
		if size == 0 {
			return n
		}
		switch kind, head := b[n], l.fifo.first(); kind {
		case pgwire.KindDataRow, pgwire.KindRowDescription:
			switch {
			case head&^(Unnamed|Named|Answered) == Entry(EntryQuery), head == Entry(EntryExecute) && kind == pgwire.KindDataRow:
			case head == Entry(EntryDescribe) && kind == pgwire.KindRowDescription:
				l.done()
			default:
				return n
			}
		case pgwire.KindParseComplete:
			if head != Entry(EntryParse)|Unnamed {
				return n
			}
			l.done()
			l.settleUnnamed(head)
		case pgwire.KindBindComplete:
			if head != Entry(EntryBind) {
				return n
			}
			l.done()
		case pgwire.KindCommandComplete:
			if !l.counted(head, b[n+pgwire.HeaderLen:n+size]) {
				return n
			}
		default:
			return n
		}
		n += size
	}
}

// counted takes the tag of a command when it says how many rows were read or changed, and nothing more that matters here. It returns false
// when it may say more, or the request has a mark that asks for more.
func (l *Link) counted(head Entry, tag []byte) bool {
	if l.pins != 0 || !counts(tag) {
		return false
	}
	switch {
	case head&^(Unnamed|Named|Answered) == Entry(EntryQuery):
		l.fifo.answered()
	case head == Entry(EntryExecute):
		l.done()
	default:
		return false
	}
	l.copyIn, l.unit.syncsRead, l.sequences.drawn = false, 0, true
	return true
}

func (l *Link) passed(v Verdict) Verdict {
	if v.Verb != Fatal && v.Verb != Dying { // what stands before them is the caller's to forward or not, see Lost
		l.unit.answered = l.unit.answered || v.N > 0 || v.Verb == Replace
	}
	return v
}

// Shown notes that the client was shown what a verdict Dying left to the caller.
func (l *Link) Shown() { l.unit.answered = true }

// unaskedLimit is the size in bytes of the longest message that may come while nothing is outstanding. It is kept until it is
// whole. PostgreSQL's are short: the longest is a notification, with a payload of 8,000 bytes.
const unaskedLimit = 64 * 1024

// awaited returns how many bytes of a message must be there before it is looked at. Those that are understood do not pass in
// pieces while they are small, and of longer ones the beginning says enough. What comes unasked when nothing is outstanding is
// awaited whole, because the client may get another server before the rest is here (I8).
func (l *Link) awaited(f pgwire.Frame) int {
	switch f.Kind {
	case pgwire.KindReadyForQuery, pgwire.KindErrorResponse, pgwire.KindParameterStatus, pgwire.KindNoticeResponse, pgwire.KindNotification,
		pgwire.KindCommandComplete:
	case pgwire.KindDataRow:
		if l.settling.underWay {
			return min(f.Len, settleRowLimit)
		}
		return 0
	case pgwire.KindRowDescription, pgwire.KindParameterDescription:
		if l.fifo.first()&Shaped == 0 {
			return 0
		}
	default:
		return 0
	}
	switch {
	case l.fifo.count == 0:
		return f.Len
	case f.Kind == pgwire.KindNotification:
		return 0
	}
	return min(f.Len, holdLimit)
}

// observe takes one message of the server's. More passes it on.
func (l *Link) observe(f pgwire.Frame, msg []byte) Verb {
	head := l.fifo.first()
	if head&Restores != 0 {
		switch f.Kind {
		case pgwire.KindCommandComplete:
			return l.restored(head, msg, len(msg) == f.Len)
		case pgwire.KindRowDescription, pgwire.KindDataRow: // of what stands behind the client's statement
			return Drop
		}
	}
	switch f.Kind {
	case pgwire.KindDataRow:
		if l.settling.underWay && head.Kind() == EntryQuery {
			return l.settleRow(f, len(msg))
		}
		return l.partOf(head, EntryQuery, EntryExecute)
	case pgwire.KindCommandComplete:
		l.heedTag(head, msg[pgwire.HeaderLen:], len(msg) == f.Len)
		return l.completed(head)
	case pgwire.KindEmptyQueryResponse:
		return l.completed(head)
	case pgwire.KindReadyForQuery:
		return l.ready(head, msg)
	case pgwire.KindRowDescription:
		if head.Kind() == EntryDescribe {
			l.hear(head, msg, len(msg) == f.Len)
			return l.answered(head)
		}
		return l.partOf(head, EntryQuery, EntryQuery)
	case pgwire.KindErrorResponse:
		return l.failed(head, msg, len(msg) == f.Len)
	case pgwire.KindNoticeResponse, pgwire.KindNotification, pgwire.KindParameterStatus:
		return l.asynchronous(f.Kind, head, msg)
	case pgwire.KindCopyInResponse:
		return l.copyBegins(head)
	case pgwire.KindCopyOutResponse, pgwire.KindCopyData, pgwire.KindCopyDone:
		l.unit.writes = true
		return l.partOf(head, EntryQuery, EntryExecute)
	default:
		return l.observeExtended(msg, head, len(msg) == f.Len)
	}
}

// observeExtended takes the answers of the extended protocol and of FunctionCall.
func (l *Link) observeExtended(msg []byte, head Entry, whole bool) Verb {
	want := EntryNone
	switch msg[0] {
	case pgwire.KindParseComplete:
		want = EntryParse
	case pgwire.KindBindComplete:
		want = EntryBind
	case pgwire.KindCloseComplete:
		want = EntryClose
	case pgwire.KindNoData:
		want = EntryDescribe
	case pgwire.KindPortalSuspended:
		want = EntryExecute
	case pgwire.KindParameterDescription:
		l.hear(head, msg, whole)
		return l.partOf(head, EntryDescribe, EntryDescribe)
	case pgwire.KindFunctionCallResponse:
		return l.mayBeOver(head, EntryFunctionCall)
	}
	if want == EntryNone || head.Kind() != want {
		return Violation
	}
	if want == EntryDescribe {
		l.hear(head, msg, whole)
	}
	if head&Parsed != 0 {
		msg[0] = pgwire.KindParseComplete
	}
	return l.answered(head)
}

// partOf passes a message that belongs to an answer and does not end it.
func (l *Link) partOf(head Entry, a, b EntryKind) Verb {
	if k := head.Kind(); k != a && k != b {
		return Violation
	}
	return shown(head)
}

// done takes the oldest request off. The end of a COPY that stood behind it did not find one: the server reads over it.
func (l *Link) done() {
	l.fifo.pop()
	for l.fifo.first().Kind() == EntryCopyEnd {
		l.fifo.pop()
	}
}

// answered passes a message that ends an answer.
func (l *Link) answered(head Entry) Verb {
	if head&Reworded != 0 { // it was sent to fail
		return Violation
	}
	l.done()
	l.settle(head)
	return shown(head)
}

func shown(head Entry) Verb {
	if head&Swallow != 0 {
		return Drop
	}
	return More
}

// completed passes CommandComplete or EmptyQueryResponse: the end of an Execute, one of several statements of a Query.
func (l *Link) completed(head Entry) Verb {
	l.copyIn, l.unit.syncsRead = false, 0
	switch head.Kind() {
	case EntryExecute:
		return l.answered(head)
	default:
		return l.mayBeOver(head, EntryQuery)
	}
}

// mayBeOver passes a message behind which nothing but ReadyForQuery need come.
func (l *Link) mayBeOver(head Entry, want EntryKind) Verb {
	if head.Kind() != want || head&Reworded != 0 {
		return Violation
	}
	l.fifo.answered()
	return shown(head)
}

// ready takes ReadyForQuery.
func (l *Link) ready(head Entry, msg []byte) Verb {
	switch msg[pgwire.HeaderLen] {
	case StatusIdle, StatusBlock, StatusFailed:
	default:
		return Violation
	}
	if head.Kind() == EntryNone && l.unit.copySync { // the Sync sent into a COPY was answered after all
		l.skipping, l.unit.copySync = false, false
		return l.told(msg)
	}
	early := head.Kind() != EntrySync && head&Answered == 0
	restless := head&Injected != 0 && head.Kind() == EntryQuery && msg[pgwire.HeaderLen] != l.Status()
	if !head.EndsUnit() || early || head&Reworded != 0 || restless {
		return Violation
	}
	l.done()
	l.copyIn = false
	if l.healing {
		return l.again(msg)
	}
	switch {
	case l.settling.underWay:
		return l.settled()
	case head&Replayed != 0:
		l.sql.replays.pop()
		return Drop
	case head&Quiet != 0:
		return Drop
	case head&Injected != 0:
		return PreludeDone
	}
	l.settle(head)
	return l.told(msg)
}

// told takes the transaction status that a ReadyForQuery tells, and ends the unit where it may.
func (l *Link) told(msg []byte) Verb {
	l.status = msg[pgwire.HeaderLen]
	l.Tally.Queries++
	if l.status == StatusIdle {
		l.Tally.Transactions++
		l.committed()
	}
	if l.fifo.count > 0 {
		return More
	}
	l.unit.mayEnd, l.unit.writes, l.unit.open = false, false, false
	if l.status != StatusIdle {
		return More
	}
	if l.up.rest > 0 { // a long CopyData that came too late: its rest has to go where its beginning went
		l.unit.lateCopy = true
		if l.settling.questions != 0 { // nobody asks behind it
			l.Doubt()
		}
		return More
	}
	if l.mayBeFree() {
		l.AskLater(AskPins | AskPrepared)
	}
	if l.pins.Has(event.PinUncertain) { // it keeps its server, and a question would end an unnamed statement that is nowhere else
		l.settling.questions = 0
	}
	if l.settling.questions != 0 {
		l.settling.due = true
		return Settle
	}
	return UnitEnd
}

// asynchronous takes what a server may send at any time. What requests of our own cause is not shown to the client.
func (l *Link) asynchronous(kind byte, head Entry, msg []byte) Verb {
	if kind == pgwire.KindParameterStatus {
		name, rest, ok := cutString(msg[pgwire.HeaderLen:])
		value, _, ok2 := cutString(rest)
		if !ok || !ok2 {
			return Violation
		}
		if l.standby && string(name) == "in_hot_standby" && string(value) == "off" {
			l.standby, l.promoted = false, true // and this session with it
		}
		l.Observer.Parameter(name, value)
	}
	if kind == pgwire.KindNotification && l.Pinned() == event.PinNone {
		l.Observer.Stray()
		return Drop
	}
	notice, ours := kind == pgwire.KindNoticeResponse, head&Swallow != 0
	if notice && head&Named != 0 {
		l.heedNotice(head)
	}
	runs := head.Kind() == EntryQuery || head&Replayed != 0
	switch {
	case ours && runs && (notice || kind == pgwire.KindParameterStatus && !l.settling.underWay):
		return Drop
	case notice && isLastWarning(msg):
		return Dying
	case ours && notice: // of a statement that the client has parsed itself before
		return Drop
	}
	return More
}

// failed takes an ErrorResponse. In the extended protocol the server now reads over everything until Sync.
// What no PostgreSQL sends is a violation: one that cannot be read, or a FATAL so long that it is not awaited whole.
func (l *Link) failed(head Entry, msg []byte, whole bool) Verb {
	severity, code, ok := severityAndCode(msg)
	switch {
	case whole && !ok, !whole && isFatal(severity):
		return Violation
	case isFatal(severity):
		return Fatal
	}
	if string(code) == pgwire.CodeReadOnlyTransaction && l.Observer.ReadOnly() {
		return Demoted
	}
	if head.Kind() == EntryNone {
		return Violation
	}
	if l.settling.underWay {
		return l.settleError(code)
	}
	switch {
	case head&Replayed != 0:
		return l.replayFailed(msg, whole)
	case head&Injected != 0 && head.Kind() == EntryQuery:
		return PreludeFailed
	}
	if whole && l.heals(head, code, msg) {
		return Drop
	}
	verdict := l.reworded(head, code, msg, whole)
	if head.Kind() == EntryQuery {
		l.queryFailed(head)
	}
	l.fifo.answered()
	l.copyIn, l.unit.failed = false, true
	if l.unit.syncsRead > 0 { // or it failed before it read the Sync, which is answered then
		if l.unit.syncsRead > 1 || l.fifo.count > 1 || head.EndsUnit() {
			l.doubt()
		}
		l.unit.copySync, l.unit.syncsRead = true, 0
	}
	if !head.EndsUnit() {
		l.skipToSync()
	}
	return verdict
}

// queryFailed is for a simple Query. What failed may have been the commit behind its last statement: that has been done then, without a tag,
// and what SQL prepares or drops a rollback does not undo.
func (l *Link) queryFailed(head Entry) {
	if head&Named != 0 {
		l.notDropped()
	}
	if l.unit.untold {
		l.unit.prepares, l.unit.drops = true, true
		l.AskLater(AskPrepared)
	}
}

// skipToSync forgets the requests that the server will not answer: the one that failed, and those up to the next Sync.
func (l *Link) skipToSync() {
	l.skipping = true
	for failed := true; l.fifo.count > 0; failed = false {
		head := l.fifo.first()
		if head.Kind() == EntrySync {
			l.skipping = false
			return
		}
		l.unsettle(head, failed)
		l.fifo.pop()
	}
	l.unit.open = true // be it that a Query behind it was to end the batch
}

// settle notes that the server has done what an entry asks.
func (l *Link) settle(e Entry) {
	if e&Unnamed != 0 {
		l.settleUnnamed(e)
	}
	if e&Named != 0 {
		l.settleChange()
	}
	if e&Shaped != 0 {
		l.wasTold()
	}
}

// unsettle notes that the server does not do what an entry asks: it reads over it, or has failed at it.
func (l *Link) unsettle(e Entry, failed bool) {
	if e&Unnamed != 0 {
		l.unsettleUnnamed(e, failed)
	}
	if e&Named != 0 {
		l.unsettleChange()
	}
	if e&Shaped != 0 {
		l.notTold(failed)
	}
	if e&Reworded != 0 {
		l.statements.words.pop()
	}
}

// copyBegins takes CopyInResponse. The server now reads CopyData; a Sync or Flush that was sent before it said so is read
// over (PostgreSQL: CopyGetData), so it is not outstanding any more.
func (l *Link) copyBegins(head Entry) Verb {
	if k := head.Kind(); k != EntryQuery && k != EntryExecute || head&Swallow != 0 {
		return Violation
	}
	l.unit.writes, l.unit.syncsRead = true, 0
	for l.fifo.count > 1 {
		next := *l.fifo.at(1)
		switch next.Kind() {
		case EntrySync:
			l.fifo.removeAt(1)
			l.unit.syncsRead++
			l.unit.open = true // the batch goes on behind the COPY
			continue
		case EntryCopyEnd: // the client has ended it ahead of time
			l.fifo.removeAt(1)
			return More
		default:
		}
		// anything else fails the COPY and is consumed by that; nobody else gets this server
		l.unsettle(next, false)
		l.fifo.removeAt(1)
		l.doubt()
		return More
	}
	l.copyIn = true
	return More
}

func isFatal(severity []byte) bool {
	return string(severity) == "FATAL" || string(severity) == "PANIC"
}

// isLastWarning tells the warning of a server that was told to end at once: a crash beside it, or an immediate shutdown. It
// proves nothing, because a function can raise it too.
func isLastWarning(msg []byte) bool {
	severity, code, _ := severityAndCode(msg)
	if string(severity) != "WARNING" {
		return false
	}
	switch string(code) {
	case "57P01", "57P02", "57P03":
		return true
	}
	return false
}

// errorField returns one field of an ErrorResponse, nil when it is missing.
func errorField(msg []byte, kind byte) []byte {
	body := msg[pgwire.HeaderLen:]
	for len(body) > 0 && body[0] != 0 {
		value, rest, ended := cutString(body[1:])
		switch {
		case !ended:
			return nil
		case body[0] == kind:
			return value
		}
		body = rest
	}
	return nil
}

// severityAndCode reads two fields of an ErrorResponse or NoticeResponse, either of which may be missing. The severity is the
// non-localised field V if there is one (PostgreSQL 9.6 and later), else S. ok is false when the message is cut or malformed.
func severityAndCode(msg []byte) (severity, code []byte, ok bool) {
	plain := false
	body := msg[pgwire.HeaderLen:]
	for len(body) > 0 && body[0] != 0 {
		value, rest, ended := cutString(body[1:])
		if !ended {
			break
		}
		switch body[0] {
		case 'V':
			severity, plain = value, true
		case 'S':
			if !plain {
				severity = value
			}
		case 'C':
			code = value
		}
		body = rest
	}
	return severity, code, len(body) == 1 && body[0] == 0
}
