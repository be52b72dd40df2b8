package relay

import (
	"fmt"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// TestWhoUsesANameWaitsUntilItIsKnown: a Close that may be read over is on its way, in a batch before.
func TestWhoUsesANameWaitsUntilItIsKnown(t *testing.T) {
	prepared := join(pgwire.AppendParseComplete(nil), readyIdle)
	l := linked(t, false, event.PinNone, join(parse("a", "select 1"), syncMsg()), prepared,
		join(bindTo("", "nothing"), closeOf('S', "a"), syncMsg()))
	bind := bindTo("", "a")
	if v := l.FromClient(bind); v.Verb != Full || v.N > 0 {
		t.Fatalf("before it is known: %+v", v)
	}
	failed := pgwire.AppendError(nil, &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "26000", Message: "no"})
	feedAll(t, join(failed, readyIdle), 1<<20, l, l.FromServer)
	if v := l.FromClient(bind); v.Verb != Replace {
		t.Fatalf("the Close was read over: %+v", v)
	}
}

// TestAServerKeepsNoMoreStatementsThanItMay, whoever prepares them, and none is closed that is about to come.
func TestAServerKeepsNoMoreStatementsThanItMay(t *testing.T) {
	const limit = 3
	l := &Link{Observer: deaf{}, Prepared: &Prepared{Limit: limit}}
	l.Attach(false, event.PinNone)
	server := newTruth(false, nil, nil)
	delete(server.statements, "")
	texts := []string{"select 1", insert, "", "begin", "commit", "vacuum t", "select ';commit'"}
	for i := range 40 {
		batch := join(parse(fmt.Sprint("a", i), texts[i%len(texts)]), parse(fmt.Sprint("b", i), texts[i/3%len(texts)]), bindTo("", fmt.Sprint("a", i/2)), syncMsg())
		sent, _ := feedAll(t, batch, 1<<20, l, l.FromClient)
		for _, msg := range wholeMessages(sent) {
			feedAll(t, server.take(msg), 1<<20, l, l.FromServer)
		}
		if len(server.statements) > limit || l.Prepared.Len() != len(server.statements) {
			t.Fatalf("after %d batches the server has %d statements, and is thought to have %d", i+1, len(server.statements), l.Prepared.Len())
		}
	}
}

// TestNamesAreBounded: a client that prepares without end is told so, and keeps what it has.
func TestNamesAreBounded(t *testing.T) {
	l := linked(t, false, event.PinNone)
	s := l.names()
	for i := range namesLimit {
		n := s.add(fmt.Append(nil, i))
		n.statement.now = l.texts().Statement([]byte("select 1\x00\x00\x00"))
	}
	feedAll(t, join(parse("one more", "select 1"), syncMsg()), 1<<20, l, l.FromClient)
	answers := join(pgwire.AppendCloseComplete(nil), pgwire.AppendParseComplete(nil),
		pgwire.AppendError(nil, &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42P05", Message: "no"}))
	told, _ := feedAll(t, answers, 1<<20, l, l.FromServer)
	if e, err := pgwire.ParseError(told[pgwire.HeaderLen:]); err != nil || e.Code != pgwire.CodeConfigurationLimit {
		t.Errorf("it is told %q", told)
	}
	if l.Statements() != namesLimit {
		t.Errorf("%d names", l.Statements())
	}
}

// TestAStatementThatIsNotKeptGoesWithItsName: its server is the client's own, and would have the long texts of all that were closed.
func TestAStatementThatIsNotKeptGoesWithItsName(t *testing.T) {
	l := linked(t, false, event.PinNone)
	server := newTruth(false, nil, nil)
	answer := func(batch []byte) {
		t.Helper()
		sent, _ := feedAll(t, batch, 1<<20, l, l.FromClient)
		for _, msg := range wholeMessages(sent) {
			feedAll(t, server.take(msg), 1<<20, l, l.FromServer)
		}
	}
	before := len(server.statements)
	long := pgwire.AppendParse(nil, "a", "select 1", make([]uint32, statementLimit/4))
	answer(join(long, parse("b", "select 1"), syncMsg()))
	answer(join(closeOf('S', "a"), syncMsg()))
	answer(join(long, closeOf('S', "a"), closeOf('S', "b"), syncMsg()))
	if got := len(server.statements) - before; got != 1 {
		t.Errorf("the server has %d statements, want the short one", got)
	}
	if l.Statements() != 0 {
		t.Errorf("the client has %d names", l.Statements())
	}
}

// TestAStatementOfATransactionThatSetsSomethingIsSharedWithNobody: the same text may mean other tables there.
func TestAStatementOfATransactionThatSetsSomethingIsSharedWithNobody(t *testing.T) {
	l := linked(t, false, event.PinNone, join(parse("a", "select * from t"), syncMsg()), join(pgwire.AppendParseComplete(nil), readyIdle))
	l.NextUnit()
	inBlock := join(pgwire.AppendCommandComplete(nil, "BEGIN"), setDone, pgwire.AppendReadyForQuery(nil, StatusBlock))
	feedAll(t, query("begin; set local search_path to other"), 1<<20, l, l.FromClient)
	feedAll(t, inBlock, 1<<20, l, l.FromServer)
	sent, _ := feedAll(t, join(parse("b", "select * from t"), syncMsg()), 1<<20, l, l.FromClient)
	if sent[0] != pgwire.KindParse {
		t.Errorf("the server gets %q", sent)
	}
	of := func(name string) string { return l.statements.find([]byte(name)).statement.next.Name() }
	if of("b") == l.statements.find([]byte("a")).statement.now.Name() {
		t.Error("it is the same statement")
	}
}

// TestAStatementInTheDarkIsSharedWithNobody: where not all is known of a client's settings the same text may mean other tables, too.
func TestAStatementInTheDarkIsSharedWithNobody(t *testing.T) {
	for name, why := range map[string]event.PinReason{
		"a setting": event.PinSetting, "a role": event.PinRole, "what is uncertain": event.PinUncertain,
	} {
		l := linked(t, false, event.PinNone, join(parse("a", "select * from t"), syncMsg()), join(pgwire.AppendParseComplete(nil), readyIdle))
		l.NextUnit()
		l.Pin(why)
		if sent, _ := feedAll(t, join(parse("b", "select * from t"), syncMsg()), 1<<20, l, l.FromClient); sent[0] != pgwire.KindParse {
			t.Errorf("%s: the server gets %q", name, sent)
		}
	}
}

// TestAStatementBehindSetConfigIsSharedWithNobody where that may give its text another meaning, be it for the transaction alone.
func TestAStatementBehindSetConfigIsSharedWithNobody(t *testing.T) {
	inBlock := join(pgwire.AppendCommandComplete(nil, "SELECT 1"), pgwire.AppendReadyForQuery(nil, StatusBlock))
	ran := join(pgwire.AppendParseComplete(nil), []byte{pgwire.KindBindComplete, 0, 0, 0, 4}, inBlock)
	for sql, alone := range map[string]bool{
		"select set_config('search_path', 'other', true)": true, "select set_config($1, 'other', true)": true,
		"select 1, SET_CONFIG ('array_nulls', x, false) from y":    true,
		"select set_config('app.tenant', 'seven', true)":           false,
		"select set_config('statement_timeout', '1min', true)":     false,
		"select current_setting('search_path'), 'set_config(1,2)'": false,
	} {
		for name, sent := range map[string][]byte{
			"Query": query(sql), "unnamed": join(parse("", sql), bindTo("", ""), execute("", 0), syncMsg()), "named": join(parse("c", sql), syncMsg()),
		} {
			l := linked(t, false, event.PinNone, join(parse("a", "select * from t"), syncMsg()), join(pgwire.AppendParseComplete(nil), readyIdle))
			l.NextUnit()
			feedAll(t, query("begin"), 1<<20, l, l.FromClient)
			feedAll(t, join(pgwire.AppendCommandComplete(nil, "BEGIN"), pgwire.AppendReadyForQuery(nil, StatusBlock)), 1<<20, l, l.FromServer)
			feedAll(t, sent, 1<<20, l, l.FromClient)
			switch name {
			case "Query":
				feedAll(t, inBlock, 1<<20, l, l.FromServer)
			case "unnamed":
				feedAll(t, ran, 1<<20, l, l.FromServer)
			default:
				feedAll(t, join(pgwire.AppendParseComplete(nil), pgwire.AppendReadyForQuery(nil, StatusBlock)), 1<<20, l, l.FromServer)
				feedAll(t, join(bindTo("", "c"), execute("", 0), syncMsg()), 1<<20, l, l.FromClient)
				feedAll(t, join([]byte{pgwire.KindBindComplete, 0, 0, 0, 4}, inBlock), 1<<20, l, l.FromServer)
			}
			feedAll(t, join(parse("b", "select * from t"), syncMsg()), 1<<20, l, l.FromClient)
			of := func(name string) *named { return l.statements.find([]byte(name)) }
			if got := of("b").statement.next != of("a").statement.now; got != alone {
				t.Errorf("%s, %q: the statement behind it is its own: %v", name, sql, got)
			}
		}
	}
}
