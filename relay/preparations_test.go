package relay

import (
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// preparing makes statements of SQL's, of which equal ones are the same.
type preparing struct {
	statements state.Statements
	settings   state.Table
}

func (p *preparing) of(names ...string) *state.Preparations {
	var list []state.Preparation
	for _, name := range names {
		st := p.statements.Intern("", 0, []byte("prepare "+name+" as select 1"+emptyParse))
		list = append(list, state.Preparation{Name: name, Statement: st, Under: p.settings.Empty()})
	}
	return state.NewPreparations(list)
}

func kindsOf(b []byte) string {
	var kinds []byte
	for _, msg := range wholeMessages(b) {
		kinds = append(kinds, msg[0])
	}
	return string(kinds)
}

// TestAServerGetsTheDifference: it loses what is a stranger's, gets what it lacks, and keeps the rest. What it refuses is missing there,
// and the client is told why when it asks for that.
func TestAServerGetsTheDifference(t *testing.T) {
	var p preparing
	l := linked(t, false, event.PinNone)
	l.sql.mine = p.of("a", "b")
	l.prepared().sql = p.of("b", "c")
	if got := kindsOf(l.Replays(p.settings.Empty())); got != "CCPBES" {
		t.Fatalf("sent: %s", got)
	}
	feedAll(t, query("execute a"), 1<<20, l, l.FromClient)
	closed, why := pgwire.AppendCloseComplete(nil), &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42P01", Message: "gone"}
	unknown := &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: pgwire.CodeInvalidStatementName, Message: `prepared statement "a" does not exist`}
	answer := join(closed, closed, pgwire.AppendParseComplete(nil), pgwire.AppendBindComplete(nil), pgwire.AppendError(nil, why), readyIdle,
		pgwire.AppendError(nil, unknown), readyIdle)
	for len(answer) > 0 {
		v := l.FromServer(answer)
		if v.Verb == Replace {
			if got := string(errorField(l.Replacement(), 'M')); got != "gone" {
				t.Errorf("the client is told: %s", got)
			}
		}
		answer = answer[v.N+v.Skip:]
		if v.Verb == Violation {
			t.Fatal("the server is not followed")
		}
	}
	if _, has := l.prepared().sql.Find("a"); has || !l.LacksPreparations() || l.Outstanding() > 0 {
		t.Errorf("the server has %v, %d outstanding", l.prepared().sql.All(), l.Outstanding())
	}
}

// TestAStrangersAreClosedBeforeTheyAreFound, and not before.
func TestAStrangersAreClosedBeforeTheyAreFound(t *testing.T) {
	for name, tc := range map[string]struct {
		sent []byte
		want bool
	}{
		"a query":              {query("select 1"), false},
		"a batch":              {join(parse("", "select 1"), bindTo("", "")), false},
		"EXECUTE":              {query("execute a"), true},
		"PREPARE":              {query("prepare a as select 2"), true},
		"the list":             {query("select * from pg_prepared_statements"), true},
		"a statement":          {parse("", "execute a"), true},
		"a name":               {bindTo("", "a"), true},
		"a name that is known": {join(parse("mine", "select 1"), bindTo("", "mine")), false},
	} {
		t.Run(name, func(t *testing.T) {
			var p preparing
			l := linked(t, false, event.PinNone)
			l.prepared().sql = p.of("a", "b")
			l.meetPreparations()
			sent := tc.sent
			v := l.FromClient(sent)
			for v.Verb == Replace {
				sent = sent[v.N+v.Skip:]
				v = l.FromClient(sent)
			}
			if got := v.Verb == Insert && kindsOf(l.Insertion(nil)) == "CC"; got != tc.want || v.Verb == Full {
				t.Fatalf("closed: %v, want %v; %v", got, tc.want, v.Verb)
			}
			if tc.want && l.prepared().sql != nil {
				t.Error("the server has them still")
			}
		})
	}
}

// TestWhatIsPreparedPinsWhenItIsExecuted, be it in one breath, and not when it is prepared.
func TestWhatIsPreparedPinsWhenItIsExecuted(t *testing.T) {
	const locks = "prepare p as select pg_advisory_lock(1)"
	for name, tc := range map[string]struct {
		sent []byte
		want event.PinReason
	}{
		"PREPARE":        {query(locks), event.PinNone},
		"in one breath":  {query(locks + "; execute p"), event.PinAdvisoryLock},
		"in two":         {join(query(locks), query("execute p")), event.PinAdvisoryLock},
		"by a batch":     {join(parse("", locks), bindTo("", ""), parse("", "execute p"), bindTo("", "")), event.PinAdvisoryLock},
		"by its name":    {join(query(locks), bindTo("", "p")), event.PinAdvisoryLock},
		"something else": {join(query(locks), query("select 1")), event.PinNone},
	} {
		t.Run(name, func(t *testing.T) {
			l := linked(t, false, event.PinNone)
			feedAll(t, tc.sent, 1<<20, l, l.FromClient)
			if got := l.Pinned(); got != tc.want {
				t.Errorf("pinned for %v, want %v", got, tc.want)
			}
		})
	}
}

// TestAStrangersAreNotTakenForItsOwn: who is asked about its pins, while a stranger's statements stand on its server, has prepared none.
func TestAStrangersAreNotTakenForItsOwn(t *testing.T) {
	var p preparing
	l := linked(t, false, event.PinNone)
	strangers := p.of("a")
	l.prepared().sql = strangers
	l.meetPreparations()
	feedAll(t, query("select pg_try_advisory_lock(1)"), 1<<20, l, l.FromClient)
	if got, _ := verbs(l, join(pgwire.AppendCommandComplete(nil, "SELECT 1"), readyIdle), 1<<20); got[len(got)-1] != Settle || l.Questions()&AskPrepared == 0 {
		t.Fatalf("%v, asked %b", got, l.Questions())
	}
	for _, known := range []bool{true, false} {
		l.HavePrepared([]PreparedRow{{Name: []byte("a"), SQL: []byte("prepare a as select 1")}}, known, false, p.settings.Empty())
		if l.sql.any() || l.Pinned() == event.PinPreparedStatement || l.prepared().sql != strangers {
			t.Errorf("known %v: it has %v, is pinned for %v, and the server has %v", known, l.sql.mine.All(), l.Pinned(), l.prepared().sql.All())
		}
	}
	l.NextUnit()
	if v := l.FromClient(query("prepare a as select 2")); v.Verb != Insert || kindsOf(l.Insertion(nil)) != "C" {
		t.Errorf("its own under that name: %+v", v)
	}
}

// TestAReplayCanBeCancelled: it may wait for a lock, and its client for it. An EXECUTE of what was not prepared then is told so, and nothing
// else is.
func TestAReplayCanBeCancelled(t *testing.T) {
	unknown := &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: pgwire.CodeInvalidStatementName, Message: `prepared statement "a" does not exist`}
	for sql, tc := range map[string]struct{ answer, want []byte }{
		"execute a": {join(pgwire.AppendError(nil, unknown), readyIdle), cancelError},
		"select 1":  {join(pgwire.AppendCommandComplete(nil, "SELECT 1"), readyIdle), join(pgwire.AppendCommandComplete(nil, "SELECT 1"), readyIdle)},
	} {
		var p preparing
		l := linked(t, false, event.PinNone)
		l.sql.mine = p.of("a")
		l.Replays(p.settings.Empty())
		feedAll(t, query(sql), 1<<20, l, l.FromClient)
		if l.AtOwnQuery() {
			t.Errorf("%s: nobody can end the wait for a lock", sql)
		}
		said := join(pgwire.AppendCloseComplete(nil), cancelError, readyIdle, tc.answer)
		if got := shownOf(l, said, 1<<20); !strings.HasPrefix(got, string(tc.want)) || l.Outstanding() > 0 || !l.LacksPreparations() {
			t.Errorf("%s: the client hears %q, %d outstanding", sql, got, l.Outstanding())
		}
	}
}

// TestACloseOfSQLsStatementAsksForAllPins: what pinned may be gone with it, and what it has left behind may not.
func TestACloseOfSQLsStatementAsksForAllPins(t *testing.T) {
	l := linked(t, false, event.PinNone)
	l.sql.stuck = map[string]string{"s": "prepare s as select pg_advisory_lock(1)"}
	l.pinFor(event.PinPreparedStatement)
	l.NextUnit()
	feedAll(t, pgwire.AppendSync(pgwire.AppendClose(nil, pgwire.TargetStatement, "s")), 1<<20, l, l.FromClient)
	got, _ := verbs(l, join(pgwire.AppendCloseComplete(nil), readyIdle), 1<<20)
	if got[len(got)-1] != Settle || l.Questions() != AskPins|AskPrepared {
		t.Errorf("%v, asked %b", got, l.Questions())
	}
}

// TestWhatWasTooMuchPinsUntilItIsGone: what is left of it, too.
func TestWhatWasTooMuchPinsUntilItIsGone(t *testing.T) {
	var p preparing
	l := linked(t, false, event.PinNone)
	row := []PreparedRow{{Name: []byte("a"), SQL: []byte("prepare a as select 1")}}
	for i, step := range []struct {
		rows  []PreparedRow
		known bool
		want  event.PinReason
	}{
		{nil, false, event.PinPreparedStatement}, {row, true, event.PinPreparedStatement}, {row, true, event.PinPreparedStatement},
		{nil, true, event.PinNone}, {row, true, event.PinNone},
	} {
		l.HavePrepared(step.rows, step.known, false, p.settings.Empty())
		if got := l.Pinned(); got != step.want {
			t.Fatalf("answer %d: pinned for %v, want %v", i, got, step.want)
		}
	}
}
