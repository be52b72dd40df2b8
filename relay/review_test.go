package relay

import (
	"encoding/binary"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// linked returns a link to a server that has been sent some bytes and has answered others.
func linked(t *testing.T, standby bool, pin event.PinReason, steps ...[]byte) *Link {
	t.Helper()
	l := &Link{Observer: deaf{}}
	l.Attach(standby, pin)
	for i, b := range steps {
		if i%2 == 0 {
			feedAll(t, b, len(b)+1, l, l.FromClient)
		} else {
			feedAll(t, b, len(b)+1, l, l.FromServer)
		}
	}
	return l
}

// TestAPromotedStandbyIsNoStandbyAnyMore: a session that keeps its server keeps it over a promotion, and what it does then may
// be committed.
func TestAPromotedStandbyIsNoStandbyAnyMore(t *testing.T) {
	said := pgwire.AppendParameterStatus(nil, "in_hot_standby", "off")
	said = pgwire.AppendReadyForQuery(pgwire.AppendCommandComplete(said, "SELECT 1"), StatusIdle)
	l := linked(t, true, event.PinSession, query("select 1"), said, query("select f()"))
	if got := l.Lost(Loss{Accepted: true, Kept: true}); got != OutcomeUnknown {
		t.Errorf("a function on a promoted standby: %v", got)
	}
}

// TestABatchWithoutItsSyncIsNeitherIdleNorClean: what it has done is not committed, and what it has failed at is read over.
func TestABatchWithoutItsSyncIsNeitherIdleNorClean(t *testing.T) {
	done := pgwire.AppendCommandComplete(pgwire.AppendBindComplete(pgwire.AppendParseComplete(nil)), "INSERT 0 1")
	failed := pgwire.AppendError(nil, &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42601", Message: "no"})
	for name, l := range map[string]*Link{
		"done":   linked(t, false, event.PinNone, join(parse("", insert), bindTo("", ""), execute("", 0), flush()), done),
		"failed": linked(t, false, event.PinNone, join(parse("", "broken"), flush()), failed),
	} {
		if l.Outstanding() > 0 || l.Status() != StatusIdle {
			t.Fatalf("%s: the test is wrong", name)
		}
		if !l.MidMessage() {
			t.Errorf("%s: the server could be given to somebody else", name)
		}
		if got := l.Lost(Loss{Accepted: true, Kept: true}); got == Unaffected {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestADoubtfulServerIsDoubtfulWhateverPinnedItBefore: a session that is pinned already must not hide that its server cannot be
// reset, because nobody knows what it will still say.
func TestADoubtfulServerIsDoubtfulWhateverPinnedItBefore(t *testing.T) {
	copyIn := []byte{'G', 0, 0, 0, 7, 0, 0, 0}
	for _, pin := range []event.PinReason{event.PinNone, event.PinSession} {
		l := linked(t, false, pin, query("copy t from stdin"), copyIn, syncMsg())
		if got := l.Pinned(); got != event.PinUncertain {
			t.Errorf("pinned for %v", got)
		}
	}
}

// TestAnAnswerIsOutstandingUntilItsLastByte: a client that has shut down its writing side is not closed in the middle of it.
func TestAnAnswerIsOutstandingUntilItsLastByte(t *testing.T) {
	row := pgwire.AppendRowDescription(nil, []string{"n"})
	l := linked(t, false, event.PinNone, join(parse("", "select 1"), describe('S', ""), flush()))
	said := join(pgwire.AppendParseComplete(nil), pgwire.AppendParameterDescription(nil, nil), row)
	l.FromServer(said[:len(said)-1])
	if l.Outstanding() == 0 || l.AtBoundary() {
		t.Errorf("%d outstanding, at a boundary: %t", l.Outstanding(), l.AtBoundary())
	}
	l.FromServer(said[len(said)-1:])
	if l.Outstanding() != 0 || !l.AtBoundary() {
		t.Errorf("%d outstanding, at a boundary: %t", l.Outstanding(), l.AtBoundary())
	}
}

// TestNamedStatementsOnAStandbyAreKnownByTheirTexts: a standby may have been promoted without having said so, so that only what
// reads was certainly without effect.
func TestNamedStatementsOnAStandbyAreKnownByTheirTexts(t *testing.T) {
	said := pgwire.AppendReadyForQuery(pgwire.AppendParseComplete(pgwire.AppendParseComplete(nil)), StatusIdle)
	for name, want := range map[string]Outcome{"reads": TransactionLost, "writes": OutcomeUnknown, "made by PREPARE": OutcomeUnknown} {
		l := linked(t, true, event.PinNone, join(parse("reads", "select 1"), parse("writes", insert), syncMsg()), said,
			join(bindTo("", name), execute("", 0), syncMsg()))
		if got := l.Lost(Loss{Accepted: true, Kept: true}); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestAWriteThatAStandbyHasRefusedIsForgotten: what is sent behind it is judged on its own.
func TestAWriteThatAStandbyHasRefusedIsForgotten(t *testing.T) {
	begun := pgwire.AppendReadyForQuery(pgwire.AppendCommandComplete(nil, "BEGIN"), StatusBlock)
	refused := pgwire.AppendError(nil, &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "25006", Message: "no"})
	refused = pgwire.AppendReadyForQuery(refused, StatusFailed)
	l := linked(t, true, event.PinNone, query("begin"), begun, query(insert), refused, query("rollback"))
	if got := l.Lost(Loss{Accepted: true}); got != TransactionLost {
		t.Errorf("a rollback: %v", got)
	}
}

// TestANodeKnownToBeAPrimaryIsNoStandby: the topology may know of a promotion before the server has said so.
func TestANodeKnownToBeAPrimaryIsNoStandby(t *testing.T) {
	loss := Loss{Accepted: true, Kept: true, Promoted: true}
	if got := linked(t, true, event.PinNone, query("select f()")).Lost(loss); got != OutcomeUnknown {
		t.Errorf("a function: %v", got)
	}
}

// TestWhatIsSentInDoubtIsNotTakenForHarmless: a COPY was refused, and whether the Sync sent before it said so was read over is
// not known. What the client sends now may be read over or run.
func TestWhatIsSentInDoubtIsNotTakenForHarmless(t *testing.T) {
	begun := pgwire.AppendReadyForQuery(pgwire.AppendCommandComplete(nil, "BEGIN"), StatusBlock)
	server := newTruth(false, nil, nil)
	var refused []byte
	for _, msg := range wholeMessages(unnamedRun("copy guarded from stdin")) {
		refused = append(refused, server.take(msg)...)
	}
	l := linked(t, false, event.PinNone, query("begin"), begun, join(unnamedRun("copy guarded from stdin"), syncMsg()), refused,
		join(query("rollback to a"), query("commit")))
	if got := l.Lost(Loss{Accepted: true}); got != OutcomeUnknown {
		t.Errorf("a commit: %v", got)
	}
	if l.Pinned() != event.PinUncertain {
		t.Errorf("pinned for %v", l.Pinned())
	}
}

// TestFunctionCallsPinUnlessTheyAreOfLargeObjects: by its number a function may be a lock or a setting.
func TestFunctionCallsPinUnlessTheyAreOfLargeObjects(t *testing.T) {
	for oid, want := range map[uint32]event.PinReason{952: event.PinNone, 3172: event.PinNone, 2880: event.PinUncertain, 2078: event.PinUncertain} {
		msg := binary.BigEndian.AppendUint32([]byte{pgwire.KindFunctionCall, 0, 0, 0, 14}, oid)
		l := linked(t, false, event.PinNone, append(msg, 0, 0, 0, 0, 0, 0))
		if got := l.Pinned(); got != want {
			t.Errorf("function %d: pinned for %v, want %v", oid, got, want)
		}
	}
}
