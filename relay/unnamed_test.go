package relay

import (
	"reflect"
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

// TestAParseThatIsRepeatedMeansWhatItMeant wherever it is said again: it is not read a second time.
func TestAParseThatIsRepeatedMeansWhatItMeant(t *testing.T) {
	done := join(pgwire.AppendParseComplete(nil), readyIdle)
	for _, text := range []string{
		"select 1", "insert into t values ($1)", "select pg_advisory_lock($1)", "select pg_advisory_unlock($1)", "select currval('s')", "listen x",
		"set work_mem to '1MB'", "select set_config('a.b', $1, false)", "commit", "prepare p as select 1", "load 'x'", "create temp table t (n int)",
	} {
		for _, standby := range []bool{false, true} {
			once := &Link{Observer: deaf{}}
			once.Attach(standby, event.PinNone)
			again := &Link{Observer: deaf{}}
			for _, first := range []bool{!standby, standby} {
				again.Attach(first, event.PinNone)
				feedAll(t, join(parse("", text), syncMsg()), 1<<20, again, again.FromClient)
				verbs(again, done, 1<<20)
				again.Detach()
			}
			again.Attach(standby, event.PinNone)
			if again.Begin(parse("", text)); !again.unnamed.repeats(parse("", text)[pgwire.HeaderLen:]) || again.glanced.known {
				t.Fatalf("%s is read a second time", text)
			}
			for _, l := range []*Link{once, again} {
				feedAll(t, parse("", text), 1<<20, l, l.FromClient)
			}
			if !reflect.DeepEqual(once.unnamed.nextDoes, again.unnamed.nextDoes) || once.pins != again.pins || once.unit.pins != again.unit.pins {
				t.Errorf("%s, standby %t: %+v, pins %v; repeated: %+v, pins %v", text, standby, once.unnamed.nextDoes, once.pins, again.unnamed.nextDoes, again.pins)
			}
			if recalls := again.Recalls(); recalls != strings.Contains(text, "currval") {
				t.Errorf("%s, repeated, recalls: %t", text, recalls)
			}
		}
	}
}

// TestARepeatedParseIsRefusedWhereItWouldPin although it was not when it was said first.
func TestARepeatedParseIsRefusedWhereItWouldPin(t *testing.T) {
	lock := join(parse("", "select pg_advisory_lock(1)"), syncMsg())
	l := linked(t, false, event.PinNone, lock, join(pgwire.AppendParseComplete(nil), readyIdle))
	l.Detach()
	l.RefusePins = true
	l.Attach(false, event.PinNone)
	batch := join(parse("", "select pg_advisory_lock(1)"), bindTo("", ""), execute("", 0), syncMsg())
	if v := l.FromClient(batch); v.Verb != Replace || v.Pin != event.PinAdvisoryLock || l.Pinned() != event.PinNone {
		t.Errorf("%+v, pinned for %v", v, l.Pinned())
	}
}
