package relay

import (
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// longText is a query string with much in front of its end that would pin outside of a literal.
func longText(end string) string {
	return "select '" + strings.Repeat("; set role x; listen y; -- ''", 4000) + "'" + end
}

// TestALongQueryPinsForWhatStandsAtItsEnd sends query strings of 100 kB in pieces: what is not known of the beginning is known at
// the end.
func TestALongQueryPinsForWhatStandsAtItsEnd(t *testing.T) {
	for end, want := range map[string]event.PinReason{
		"":                                         event.PinNone,
		"; select 1":                               event.PinNone,
		"; set local role x":                       event.PinNone,
		"; set timezone = 'UTC'":                   event.PinNone,
		"; do $$begin set role x; end$$":           event.PinRole,
		", pg_advisory_lock(1)":                    event.PinAdvisoryLock,
		"; do $$begin listen x; end$$":             event.PinListen,
		"; create temp table x(n int)":             event.PinTempTable,
		"; declare c cursor with hold for table t": event.PinCursor,
	} {
		msg := query(longText(end))
		for _, step := range []int{1000, 16 << 10, 17 << 10, len(msg) - 1, len(msg)} {
			l := linked(t, false, event.PinNone)
			if out, _ := feedAll(t, msg, step, l, l.FromClient); len(out) != len(msg) {
				t.Fatalf("%d of %d bytes were forwarded", len(out), len(msg))
			}
			if got := l.Pinned(); got != want {
				t.Errorf("%q in pieces of %d: pinned for %v, want %v", end, step, got, want)
			}
			if l.passing != nil {
				t.Errorf("%q in pieces of %d: it has passed and is still read", end, step)
			}
		}
	}
}

// TestALongQueryThatTouchesSettingsPins: it cannot be read a second time, for their names, unless it is here as a whole.
func TestALongQueryThatTouchesSettingsPins(t *testing.T) {
	for _, end := range []string{"; set role x", "; reset all", "; select set_config('a.b', 'c', false)"} {
		msg := query(longText(end))
		for _, step := range []int{1000, 16 << 10, 17 << 10, len(msg) - 1, len(msg)} {
			l := linked(t, false, event.PinNone)
			feedAll(t, msg, step, l, l.FromClient)
			whole := step == len(msg)
			if (l.Pinned() == event.PinSetting) == whole || (l.Touched() != nil) != whole {
				t.Errorf("%q in pieces of %d: pinned for %v, touched: %v", end, step, l.Pinned(), l.Touched())
			}
		}
	}
}

// TestALongQueryIsDoubtfulUntilItHasPassed: when the server is lost in the middle of one, it may have been about to commit or to
// write. At its end it is known that it was not.
func TestALongQueryIsDoubtfulUntilItHasPassed(t *testing.T) {
	begun := pgwire.AppendReadyForQuery(pgwire.AppendCommandComplete(nil, "BEGIN"), StatusBlock)
	for _, tc := range []struct {
		name           string
		standby, block bool
		end            string
		want           Outcome
	}{
		{"a read in a block", false, true, "", TransactionLost},
		{"a commit in a block", false, true, "; commit", OutcomeUnknown},
		{"a read on a standby", true, false, "", TransactionLost},
		{"a write on a standby", true, false, "; insert into t values (1)", OutcomeUnknown},
	} {
		l := linked(t, tc.standby, event.PinNone)
		if tc.block {
			l = linked(t, tc.standby, event.PinNone, query("begin"), begun)
		}
		msg := query(longText(tc.end))
		cut := len(msg) - 100
		feedAll(t, msg[:cut], cut, l, l.FromClient)
		if got := l.Lost(Loss{Accepted: true}); tc.block && got != OutcomeUnknown || got == Replay {
			t.Errorf("%s, cut: %v", tc.name, got)
		}
		feedAll(t, msg[cut:], len(msg), l, l.FromClient)
		if got := l.Lost(Loss{Accepted: true}); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestALongQueryIsForgottenWithItsServer: what follows is another's.
func TestALongQueryIsForgottenWithItsServer(t *testing.T) {
	msg := query(longText("; set role x"))
	l := linked(t, false, event.PinNone)
	feedAll(t, msg[:len(msg)/2], len(msg), l, l.FromClient)
	l.Detach()
	if v := l.Begin(msg[len(msg)/2:]); v.Verb != Drop || v.Skip != len(msg)-len(msg)/2 {
		t.Fatalf("the rest: %+v", v)
	}
	l.Attach(false, event.PinNone)
	feedAll(t, query("select 1"), 1<<20, l, l.FromClient)
	if l.Pinned() != event.PinNone || l.passing != nil {
		t.Errorf("pinned for %v", l.Pinned())
	}
}
