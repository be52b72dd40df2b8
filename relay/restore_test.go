package relay

import (
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// What a server says at the end of a statement in a transaction block.
var (
	readyBlock  = pgwire.AppendReadyForQuery(nil, StatusBlock)
	readyFailed = pgwire.AppendReadyForQuery(nil, StatusFailed)
)

// startingWith is a library whose client began with x = 1.
type startingWith struct{ privateLibrary }

func (*startingWith) Restore(reset *state.Touched) string {
	if reset.All || reset.Has("x") {
		return "select give back"
	}
	return ""
}

func TestWhatAClientBeganWithIsGivenBackBehindItsReset(t *testing.T) {
	for sql, extended := range map[string]bool{
		"reset x": true, "RESET ALL;": true, "set x to default": true, "Set Session x = DEFAULT ; ": true,
		"reset y": false, "discard all": false, "reset session authorization": false, "set x to 2": false, "set local x to default": false, "reset x; select 1": false, "reset x -- why": false,
		`reset "x"`: false, "reset x $$": false, "select 1": false, "reset x /*": false,
	} {
		l := linked(t, false, event.PinNone)
		l.Library = &startingWith{}
		msg := query(sql)
		v := l.FromClient(msg)
		if got := v.Verb == Replace; got != extended {
			t.Errorf("%q: something is put behind it: %v", sql, got)
			continue
		}
		if want := sql + ";select give back"; extended && (v.Skip != len(msg) || string(l.Replacement()) != string(query(want))) {
			t.Errorf("%q: the server gets %q for %d bytes of %d", sql, l.Replacement(), v.Skip, len(msg))
		}
		if l.Questions()&AskSettings == 0 && extended {
			t.Errorf("%q: it is not read back", sql)
		}
	}
}

// TestAResetWithSomethingBehindItIsAnsweredAlone in whatever pieces the server's answer comes.
func TestAResetWithSomethingBehindItIsAnsweredAlone(t *testing.T) {
	rest := join(settleShape, settleData, pgwire.AppendCommandComplete(nil, "SELECT 1"))
	for sql, tag := range map[string]string{"reset x": "RESET", "set x = default": "SET"} {
		done := pgwire.AppendCommandComplete(nil, tag)
		for name, tc := range map[string]struct{ said, want []byte }{
			"done":                    {join(done, rest, readyBlock), join(done, readyBlock)},
			"it fails":                {join(settleError, readyFailed), join(settleError, readyFailed)},
			"what is behind it fails": {join(done, settleShape, settleError, readyFailed), join(settleError, readyFailed)},
		} {
			for size := 1; size <= len(tc.said); size++ {
				l := linked(t, false, event.PinNone)
				l.Library = &startingWith{}
				l.FromClient(query(sql))
				if got := shownOf(l, tc.said, size); got != string(tc.want) {
					t.Fatalf("%s, %s, %d bytes at a time: the client hears %q", sql, name, size, got)
				}
				if l.Outstanding() > 0 || tag == "SET" && l.sequences.drawn {
					t.Fatalf("%s, %s: %d outstanding; what is behind it counts: %v", sql, name, l.Outstanding(), l.sequences.drawn)
				}
			}
		}
	}
	l := linked(t, false, event.PinNone)
	l.Library = &startingWith{}
	l.FromClient(query("reset x"))
	if v := l.FromServer(pgwire.AppendCommandComplete(nil, "RESET")); v.Verb != Drop {
		t.Errorf("the tag of the client's statement: %+v", v)
	}
	if v := l.FromServer(readyIdle); v.Verb != Violation {
		t.Errorf("ready before all is answered: %+v", v)
	}
}

// shownOf feeds what a server says, cut into pieces of a size, and returns what the client hears.
func shownOf(l *Link, said []byte, size int) string {
	var b []byte
	var shown strings.Builder
	for len(said) > 0 {
		n := min(size, len(said))
		b, said = append(b, said[:n]...), said[n:]
		for len(b) > 0 {
			v := l.FromServer(b)
			shown.Write(b[:v.N])
			if v.Verb == Replace {
				shown.Write(l.Replacement())
			}
			b = b[v.N+v.Skip:]
			if v.Verb == More || v.Verb == Violation {
				break
			}
		}
	}
	return shown.String()
}
