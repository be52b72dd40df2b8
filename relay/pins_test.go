package relay

import (
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// TestWhatMayBeFreeIsAskedAbout: a pinned session asks its server when something was done that may have ended the pin, and only then.
func TestWhatMayBeFreeIsAskedAbout(t *testing.T) {
	done := func(tags ...string) (b []byte) {
		for _, tag := range tags {
			b = pgwire.AppendCommandComplete(b, tag)
		}
		return b
	}
	refused := pgwire.AppendError(nil, &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42P07", Message: "no"})
	for name, tc := range map[string]struct {
		pinned   bool // the session listens already
		sql      string
		answered []byte
		want     Verb
	}{
		"nothing pins":                     {false, "drop table t", done("DROP TABLE"), UnitEnd},
		"nothing pins, a lock is released": {false, "select pg_advisory_unlock(1)", done("SELECT 1"), UnitEnd},
		"a query":                          {true, "select 1", done("SELECT 1"), UnitEnd},
		"a transaction":                    {true, "begin; select 1; commit", done("BEGIN", "SELECT 1", "COMMIT"), UnitEnd},
		"a query that fails":               {true, "select 1/0", refused, UnitEnd},
		"UNLISTEN":                         {true, "unlisten x", done("UNLISTEN"), Settle},
		"DROP":                             {true, "drop table t", done("DROP TABLE"), Settle},
		"code":                             {true, "do $$ $$", done("DO"), Settle},
		"a lock is released":               {true, "select pg_advisory_unlock(1)", done("SELECT 1"), Settle},
		"it begins to listen":              {false, "listen x", done("LISTEN"), UnitEnd},
		"it fails to":                      {false, "listen x; select 1/0", refused, Settle},
		"it does in a transaction":         {false, "begin; listen x; rollback", done("BEGIN", "LISTEN", "ROLLBACK"), Settle},
		"a lock that it may not get":       {false, "select pg_try_advisory_lock(1)", done("SELECT 1"), Settle},
		"nobody can tell of a library":     {true, "load 'x'; unlisten x", done("LOAD", "UNLISTEN"), UnitEnd},
	} {
		t.Run(name, func(t *testing.T) {
			for _, step := range []int{1, 1 << 20} {
				l := linked(t, false, event.PinNone)
				if tc.pinned {
					l.pinFor(event.PinListen)
					l.NextUnit()
				}
				feedAll(t, query(tc.sql), 1<<20, l, l.FromClient)
				got, _ := verbs(l, join(tc.answered, readyIdle), step)
				whole := step > len(tc.answered)
				if last := got[len(got)-1]; last != tc.want && (whole || tc.want == Settle) {
					t.Errorf("%d bytes at a time: %v, want %v", step, last, tc.want)
				}
			}
		})
	}
}

// TestAStatementPinsEachTimeItRuns: what it was parsed for may have ended since.
func TestAStatementPinsEachTimeItRuns(t *testing.T) {
	parsed := pgwire.AppendParseComplete(nil)
	l := linked(t, false, event.PinNone, join(parse("s", "select pg_advisory_lock(1)"), parse("", "listen x"), syncMsg()), join(parsed, parsed, readyIdle))
	l.NextUnit()
	l.Held(0)
	if l.Pinned() != event.PinNone {
		t.Fatalf("pinned for %v", l.Pinned())
	}
	feedAll(t, bindTo("", "s"), 1<<20, l, l.FromClient)
	if l.Pinned() != event.PinAdvisoryLock {
		t.Errorf("the named statement pins for %v", l.Pinned())
	}
	feedAll(t, bindTo("", ""), 1<<20, l, l.FromClient)
	if l.Pinned() != event.PinListen {
		t.Errorf("the unnamed statement pins for %v", l.Pinned())
	}
}

// TestTheServerTellsOnlyOfWhatItKnows: the other pins stay, whatever it says.
func TestTheServerTellsOnlyOfWhatItKnows(t *testing.T) {
	l := linked(t, false, event.PinNone)
	l.pinsFor(event.PinsOf(event.PinLoad, event.PinListen))
	l.Held(event.PinsOf(event.PinCursor, event.PinUncertain))
	if want := event.PinsOf(event.PinLoad, event.PinCursor); l.pins != want {
		t.Errorf("%b, want %b", l.pins, want)
	}
}

// TestATagPinsForWhatNoTextShowed is the second look.
func TestATagPinsForWhatNoTextShowed(t *testing.T) {
	for tag, want := range map[string]event.PinReason{"LISTEN": event.PinListen, "LOAD": event.PinLoad, "LOCK TABLE": event.PinNone} {
		l := linked(t, false, event.PinNone, query("select 1"), join(pgwire.AppendCommandComplete(nil, tag), readyIdle))
		if l.Pinned() != want {
			t.Errorf("%s: pinned for %v, want %v", tag, l.Pinned(), want)
		}
	}
}

// TestAQueryAmidABatchPins: behind the Sync of such a batch PostgreSQL 18 is in a transaction, whatever it says, and fails whoever is next.
func TestAQueryAmidABatchPins(t *testing.T) {
	batch := join(parse("", "select 1"), bindTo("", ""), execute("", 0))
	for name, c := range map[string]struct {
		before, sent []byte
		pin          event.PinReason
	}{
		"amid a batch":         {batch, query("select 2"), event.PinUncertain},
		"behind a Close":       {closeOf('S', "mine"), query("select 2"), event.PinNone},
		"behind its Sync":      {join(batch, syncMsg()), query("select 2"), event.PinNone},
		"a batch behind it":    {query("select 2"), batch, event.PinNone},
		"another Query before": {query("select 1"), query("select 2"), event.PinNone},
	} {
		l := linked(t, false, event.PinNone, c.before, nil, c.sent)
		if pin := l.Pinned(); pin != c.pin {
			t.Errorf("%s: %v", name, pin)
		}
	}
}
