package relay

import (
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

func serverError(code, message string) []byte {
	return pgwire.AppendError(nil, &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: message})
}

// TestTheUnnamedStatementOutlivesAParseOfOursThatFails: on this server there is none any more, but the client has closed nothing.
func TestTheUnnamedStatementOutlivesAParseOfOursThatFails(t *testing.T) {
	l := linked(t, false, event.PinNone, join(parse("", "select n from t"), syncMsg()), join(pgwire.AppendParseComplete(nil), readyIdle))
	l.Detach()
	l.Attach(false, event.PinNone)
	batch := join(bindTo("", ""), execute("", 0), syncMsg())
	for range 2 {
		if v := l.FromClient(batch); v.Verb != Insert || len(l.Insertion(nil)) == 0 {
			t.Fatalf("before a Bind: %+v", v)
		}
		if v := l.FromClient(batch); v.N != len(batch) {
			t.Fatalf("the batch: %+v", v)
		}
		if got, shown := verbs(l, join(serverError("57014", "canceled"), readyIdle), 1<<20); got[0] != UnitEnd || shown[0] != pgwire.KindErrorResponse {
			t.Fatalf("the answer: %v", got)
		}
		l.NextUnit()
	}
}

// TestErrorsNameStatementsAsTheClientDoes whatever they complain of.
func TestErrorsNameStatementsAsTheClientDoes(t *testing.T) {
	l := linked(t, false, event.PinNone, join(parse("mine", "select $1::int"), syncMsg()), join(pgwire.AppendParseComplete(nil), readyIdle))
	l.NextUnit()
	feedAll(t, join(bindTo("", "mine"), syncMsg()), 1<<20, l, l.FromClient)
	name := l.statements.find([]byte("mine")).statement.now.Name()
	v := l.FromServer(serverError("08P01", `bind message supplies 0 parameters, but prepared statement "`+name+`" requires 1`))
	if v.Verb != Replace || !strings.Contains(string(l.Replacement()), `"mine" requires 1`) {
		t.Errorf("%+v: %q", v, l.Replacement())
	}
}

// TestAnUnnamedStatementThatIsNotKeptIsLeftAlone: who is pinned for it is asked nothing.
func TestAnUnnamedStatementThatIsNotKeptIsLeftAlone(t *testing.T) {
	long := parse("", "select '"+strings.Repeat("x", unnamedLimit)+"'")
	l := linked(t, false, event.PinNone, join(long, syncMsg()), join(pgwire.AppendParseComplete(nil), readyIdle))
	l.NextUnit()
	feedAll(t, join(parse("s", "set work_mem to '1MB'"), bindTo("", "s"), execute("", 0), syncMsg()), 1<<20, l, l.FromClient)
	answer := join(pgwire.AppendParseComplete(nil), pgwire.AppendBindComplete(nil), setDone, readyIdle)
	if got, _ := verbs(l, answer, 1<<20); got[len(got)-1] != UnitEnd {
		t.Errorf("%v", got)
	}
}
