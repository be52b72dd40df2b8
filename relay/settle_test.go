package relay

import (
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

var (
	setDone     = pgwire.AppendCommandComplete(nil, "SET")
	settleData  = []byte{pgwire.KindDataRow, 0, 0, 0, 11, 0, 1, 0, 0, 0, 1, 'x'}
	settleShape = []byte{pgwire.KindRowDescription, 0, 0, 0, 6, 0, 0}
	settleEnd   = join(pgwire.AppendCommandComplete(nil, "SELECT 1"), readyIdle)
	settleError = errorOf("42501")
	cancelError = errorOf(pgwire.CodeQueryCanceled)
)

func errorOf(code string) []byte {
	return pgwire.AppendError(nil, &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: "no"})
}

// settling returns a link whose unit is being settled.
func settlingLink(t *testing.T) *Link {
	t.Helper()
	l := linked(t, false, event.PinNone, query("set x to 1"))
	l.AskLater(1)
	b := join(setDone, readyIdle)
	v := l.FromServer(b)
	if v.Verb != Settle || v.N != len(setDone) || v.Skip != len(readyIdle) {
		t.Fatalf("the end of a unit with a question to ask: %+v", v)
	}
	if l.Questions() != 1 {
		t.Fatalf("the questions are %b", l.Questions())
	}
	if got := l.Lost(Loss{Accepted: true, Kept: true}); got != PinnedLost { // it was not told, and must not wait for ever
		t.Fatalf("lost before it is asked: %v", got)
	}
	l.Postlude()
	return l
}

// verbs feeds what a server says, cut into pieces of a size, and returns what it means and what the client sees of it.
func verbs(l *Link, said []byte, size int) (list []Verb, shown []byte) {
	var b []byte
	for len(said) > 0 {
		n := min(size, len(said))
		b, said = append(b, said[:n]...), said[n:]
		for len(b) > 0 {
			v := l.FromServer(b)
			shown = append(shown, b[:v.N]...)
			b = b[v.N+v.Skip:]
			if v.Verb == More {
				break
			}
			if v.Verb != Drop {
				list = append(list, v.Verb)
			}
		}
	}
	return list, shown
}

func TestAUnitIsSettledBeforeItEnds(t *testing.T) {
	reported := pgwire.AppendParameterStatus(nil, "TimeZone", "UTC")
	notice := []byte{pgwire.KindNoticeResponse, 0, 0, 0, 5, 0}
	for name, tc := range map[string]struct {
		said []byte
		want []Verb
	}{
		"answered":      {join(settleShape, notice, settleData, settleEnd), []Verb{Row, Settled}},
		"refused":       {join(settleError, readyIdle), []Verb{SettleFailed}},
		"failed late":   {join(settleShape, settleData, settleError, readyIdle), []Verb{Row, SettleFailed}},
		"a setting too": {join(reported, settleShape, settleData, settleEnd), []Verb{Row, Settled}},
	} {
		for size := 1; size <= len(tc.said); size++ {
			l := settlingLink(t)
			got, shown := verbs(l, tc.said, size)
			if len(got) != len(tc.want) || got[len(got)-1] != tc.want[len(tc.want)-1] || got[0] != tc.want[0] {
				t.Errorf("%s, %d bytes at a time: %v, want %v", name, size, got, tc.want)
			}
			if want := name == "a setting too"; want != (string(shown) == string(reported)) || !want && len(shown) > 0 {
				t.Errorf("%s: the client sees %q", name, shown)
			}
			if l.Settling() || l.Outstanding() > 0 || l.Questions() != 0 {
				t.Errorf("%s: it is not over", name)
			}
		}
	}
}

// TestACancelledPostludeIsAskedOnceMore, and no more often.
func TestACancelledPostludeIsAskedOnceMore(t *testing.T) {
	for name, said := range map[string][]byte{"at once": join(cancelError, readyIdle), "behind its row": join(settleShape, settleData, cancelError, readyIdle)} {
		for second, want := range map[string]Verb{string(settleEnd): Settled, string(join(cancelError, readyIdle)): SettleFailed} {
			l := settlingLink(t)
			got, shown := verbs(l, said, 1)
			if got[len(got)-1] != Settle || len(shown) > 0 || !l.Settling() || l.Questions() != 1 {
				t.Fatalf("%s: %v, the client sees %q, to be asked: %b", name, got, shown, l.Questions())
			}
			l.Postlude()
			if got, _ := verbs(l, []byte(second), 1); got[len(got)-1] != want || l.Settling() || l.Questions() != 0 {
				t.Errorf("%s, and then %q: %v, want %v at the end", name, second, got, want)
			}
		}
	}
}

// TestWhoIsSettledLosesItsStateWithTheServer: everything is done, but nobody knows what the session has set.
func TestWhoIsSettledLosesItsStateWithTheServer(t *testing.T) {
	l := settlingLink(t)
	if got := l.Lost(Loss{Accepted: true, Kept: true}); got != PinnedLost {
		t.Errorf("%v", got)
	}
	l.Detach()
	if l.Settling() || l.Questions() != 0 {
		t.Error("it goes on without a server")
	}
}

// TestARowThatIsTooLongIsNoAnswer: it is not kept.
func TestARowThatIsTooLongIsNoAnswer(t *testing.T) {
	l := settlingLink(t)
	long := make([]byte, 2*settleRowLimit)
	long[0], long[2] = pgwire.KindDataRow, byte((len(long)-1)>>16)
	long[3], long[4] = byte((len(long)-1)>>8), byte(len(long)-1)
	got, _ := verbs(l, join(long, settleEnd), 10_000)
	if len(got) != 1 || got[0] != SettleFailed {
		t.Errorf("%v", got)
	}
}

// TestAPostludeEndsTheUnnamedStatementOnTheServer: as every simple Query does. The client's own goes in front of its next Bind.
func TestAPostludeEndsTheUnnamedStatementOnTheServer(t *testing.T) {
	l := linked(t, false, event.PinNone, join(parse("", "select 1"), syncMsg()))
	l.AskLater(1)
	if got, _ := verbs(l, join(pgwire.AppendParseComplete(nil), readyIdle), 1<<20); got[0] != Settle {
		t.Fatalf("%v", got)
	}
	l.Postlude()
	if got, _ := verbs(l, join(settleShape, settleData, settleEnd), 1<<20); got[len(got)-1] != Settled {
		t.Fatalf("%v", got)
	}
	l.NextUnit()
	if v := l.FromClient(bindTo("", "")); v.Verb != Insert {
		t.Errorf("before a Bind: %+v", v)
	}
}
