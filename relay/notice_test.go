package relay

import (
	"bytes"
	"slices"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// TestAWarningAboutAStatementIsGivenOnce: PostgreSQL warns of a string with backslashes when it parses it. On another server the router
// parses the client's statement again, and what is said of that is not the client's. A server that is about to end is heard all the same.
func TestAWarningAboutAStatementIsGivenOnce(t *testing.T) {
	notice := func(code string) []byte {
		return pgwire.AppendNotice(nil, &pgwire.Error{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: code, Message: "hear"})
	}
	backslash := notice("22P06")
	parsed := join(backslash, pgwire.AppendParseComplete(nil), readyIdle)
	l := linked(t, false, event.PinNone)
	feedAll(t, join(parse("", `select '\x41'`), syncMsg()), 100, l, l.FromClient)
	if _, shown := verbs(l, parsed, 100); !bytes.Equal(shown, parsed) {
		t.Errorf("of its own Parse the client is shown %q", shown)
	}
	for _, tc := range []struct {
		name string
		said []byte
		want []Verb
	}{
		{"the same warning", backslash, []Verb{UnitEnd}},
		{"the last one", notice("57P01"), []Verb{Dying, UnitEnd}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l.Detach()
			l.Attach(false, event.PinNone)
			feedAll(t, join(bindTo("", ""), syncMsg()), 100, l, l.FromClient)
			theirs := join(pgwire.AppendBindComplete(nil), readyIdle)
			list, shown := verbs(l, join(tc.said, pgwire.AppendParseComplete(nil), theirs), 100)
			if !slices.Equal(list, tc.want) || !bytes.Equal(shown, theirs) {
				t.Errorf("%v, the client is shown %q", list, shown)
			}
		})
	}
}

// TestEachWhoPreparesIsWarned: a statement of which PostgreSQL has something to say is parsed again for the next who prepares it, and one of
// which it has nothing to say is not.
func TestEachWhoPreparesIsWarned(t *testing.T) {
	warning := pgwire.AppendNotice(nil, &pgwire.Error{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "22P06", Message: "hear"})
	closed, parsed := pgwire.AppendCloseComplete(nil), pgwire.AppendParseComplete(nil)
	for name, tc := range map[string]struct {
		said []byte
		want string
	}{
		"a warning": {warning, "CPS"},
		"nothing":   {nil, "CS"},
	} {
		l := linked(t, false, event.PinNone)
		sends(t, l, parse("a", `select '\x41'`), syncMsg())
		answers(t, l, tc.said, parsed, readyIdle)
		if got := sends(t, l, parse("b", `select '\x41'`), syncMsg()); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
		if tc.said == nil {
			continue
		}
		want := join(warning, parsed, readyIdle)
		if got := answers(t, l, closed, want); got != string(want) {
			t.Errorf("the client is shown %q", got)
		}
		if got := sends(t, l, bindTo("", "a"), bindTo("", "b"), syncMsg()); got != "BBS" {
			t.Errorf("then they are bound: %s", got)
		}
	}
}
