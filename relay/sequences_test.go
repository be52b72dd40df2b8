package relay

import (
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// TestAStrangersNumbersAreTakenAway: before who may ask for one, where that does no harm.
func TestAStrangersNumbersAreTakenAway(t *testing.T) {
	begun := join(pgwire.AppendCommandComplete(nil, "BEGIN"), pgwire.AppendReadyForQuery(nil, StatusBlock))
	inserted := join(pgwire.AppendCommandComplete(nil, "INSERT 0 1"), pgwire.AppendReadyForQuery(nil, StatusBlock))
	failed := join(pgwire.AppendCommandComplete(nil, "BEGIN"), pgwire.AppendReadyForQuery(nil, StatusFailed))
	asks := query("select currval('s')")
	for name, tc := range map[string]struct {
		own   bool
		steps [][]byte
		asks  []byte
		want  bool
		waits bool // for what was sent before
		pin   event.PinReason
	}{
		"it asks":                    {asks: asks, want: true, pin: event.PinSequence},
		"in a Parse":                 {asks: parse("", "SELECT LASTVAL()"), want: true, pin: event.PinSequence},
		"in a block":                 {steps: [][]byte{query("begin"), begun}, asks: asks, want: true, pin: event.PinSequence},
		"in a string":                {asks: query("select 'currval(1)'"), want: true},
		"it asks for something else": {asks: query("select val from currency")},
		"on its own server":          {own: true, asks: asks, pin: event.PinSequence},
		"behind what has drawn":      {steps: [][]byte{query("begin"), begun, query("insert into t"), inserted}, asks: asks},
		"behind what may have":       {steps: [][]byte{query("insert into t"), nil}, asks: asks, waits: true},
		"behind the end of a batch":  {steps: [][]byte{syncMsg(), nil}, asks: asks, waits: true},
		"in a block that has failed": {steps: [][]byte{query("begin; x"), failed}, asks: asks, pin: event.PinSequence},
		"with what has drawn":        {own: true, asks: query("select nextval('s'); select currval('s')")},
		"in a batch":                 {steps: [][]byte{parse("a", "begin"), nil}, asks: parse("", "select lastval()"), pin: event.PinSequence},
	} {
		t.Run(name, func(t *testing.T) {
			l := linked(t, false, event.PinNone)
			if !tc.own {
				l.Foreign()
			}
			for i, b := range tc.steps {
				if i%2 == 0 {
					feedAll(t, b, len(b)+1, l, l.FromClient)
				} else {
					feedAll(t, b, len(b)+1, l, l.FromServer)
				}
			}
			v := l.FromClient(tc.asks)
			if v.Verb == Insert != tc.want || v.Verb == Full != tc.waits {
				t.Fatalf("%+v", v)
			}
			if tc.want {
				if got := string(l.Insertion(nil)); got != string(query("DISCARD SEQUENCES")) {
					t.Errorf("%q is sent", got)
				}
				if v := l.FromClient(tc.asks); v.N != len(tc.asks) {
					t.Errorf("and then %+v", v)
				}
			}
			if l.Pinned() != tc.pin {
				t.Errorf("pinned for %v, want %v", l.Pinned(), tc.pin)
			}
		})
	}
}

// TestWhoKeepsAServerKeepsItsOwnNumbers that it has drawn there, although a stranger had the server before: in another unit of work.
func TestWhoKeepsAServerKeepsItsOwnNumbers(t *testing.T) {
	created := join(pgwire.AppendCommandComplete(nil, "CREATE SEQUENCE"), readyIdle)
	selected := join(pgwire.AppendCommandComplete(nil, "SELECT 1"), readyIdle)
	listens := join(pgwire.AppendCommandComplete(nil, "LISTEN"), readyIdle)
	shown := join(pgwire.AppendCommandComplete(nil, "SHOW"), readyIdle)
	for name, tc := range map[string]struct {
		steps [][]byte
		want  Verb
	}{
		"it has drawn":          {[][]byte{query("create temp sequence s"), created, query("select nextval('s')"), selected}, More},
		"in its first unit":     {[][]byte{query("create temp sequence s; select nextval('s')"), selected}, More},
		"it has not drawn":      {[][]byte{query("set application_name to 'x'"), join(setDone, readyIdle)}, Insert},
		"in several units, too": {[][]byte{query("show all"), shown, query("show all"), shown}, Insert},
		"what listens may have": {[][]byte{query("listen x"), listens}, More},
	} {
		t.Run(name, func(t *testing.T) {
			l := linked(t, false, event.PinNone)
			l.Foreign()
			for i, b := range tc.steps {
				if i%2 == 0 {
					feedAll(t, b, len(b)+1, l, l.FromClient)
					continue
				}
				verbs(l, b, len(b)+1)
				l.NextUnit()
			}
			if v := l.FromClient(query("select currval('s')")); v.Verb != tc.want {
				t.Errorf("%+v", v)
			}
		})
	}
}

// TestWhoMayAskForANumberSaysSoBeforeItHasAServer: it should get that of its last unit of work.
func TestWhoMayAskForANumberSaysSoBeforeItHasAServer(t *testing.T) {
	l := linked(t, false, event.PinNone, join(parse("", "select lastval()"), parse("s", "select currval('q')"),
		parse("both", "select pg_advisory_lock(1), lastval()"), syncMsg()),
		join(pgwire.AppendParseComplete(nil), pgwire.AppendParseComplete(nil), pgwire.AppendParseComplete(nil), readyIdle))
	l.Detach()
	for _, tc := range []struct {
		b    []byte
		want bool
	}{{bindTo("", ""), true}, {bindTo("", "s"), true}, {bindTo("", "both"), true}, {bindTo("", "t"), false}, {query("select 1"), false}, {query("select CurrVal('s')"), true}, {parse("", "select 1"), false}} {
		if v := l.Begin(tc.b); v.Verb != Start || l.Recalls() != tc.want {
			t.Errorf("%q: %v, %t", tc.b, v.Verb, l.Recalls())
		}
	}
}

// TestTheStatementBehindTheDiscardIsAnswered: in a block as well, and the client sees nothing of what stands in front.
func TestTheStatementBehindTheDiscardIsAnswered(t *testing.T) {
	for _, status := range []byte{StatusIdle, StatusBlock} {
		l := linked(t, false, event.PinNone)
		l.Foreign()
		if status == StatusBlock {
			feedAll(t, query("begin"), 100, l, l.FromClient)
			feedAll(t, join(pgwire.AppendCommandComplete(nil, "BEGIN"), pgwire.AppendReadyForQuery(nil, status)), 100, l, l.FromServer)
		}
		feedAll(t, query("select lastval()"), 100, l, l.FromClient)
		ready := pgwire.AppendReadyForQuery(nil, status)
		ours := join(pgwire.AppendCommandComplete(nil, "DISCARD SEQUENCES"), ready)
		theirs := join(pgwire.AppendCommandComplete(nil, "SELECT 1"), ready)
		if _, shown := verbs(l, join(ours, theirs), 5); l.Outstanding() != 0 || l.Status() != status || len(shown) < len(theirs)-len(ready) {
			t.Errorf("%c: %d outstanding, status %c, the client sees %q", status, l.Outstanding(), l.Status(), shown)
		}
	}
}

// TestWhatSQLHasPreparedMayAskForANumber, whichever way it is run.
func TestWhatSQLHasPreparedMayAskForANumber(t *testing.T) {
	var p preparing
	st := p.statements.Intern("", 0, []byte("prepare c as select currval('s')"+emptyParse))
	l := linked(t, false, event.PinNone, join(parse("", "execute c"), parse("s", "execute c"), parse("t", "select 1"), syncMsg()),
		join(pgwire.AppendParseComplete(nil), pgwire.AppendParseComplete(nil), pgwire.AppendParseComplete(nil), readyIdle))
	l.sql.mine = state.NewPreparations(append(p.of("d").All(), state.Preparation{Name: "c", Statement: st, Under: p.settings.Empty()}))
	l.sql.recalls = true
	l.Detach()
	for _, tc := range []struct {
		b    []byte
		want bool
	}{{query("execute c"), true}, {bindTo("", ""), true}, {bindTo("", "s"), true}, {bindTo("", "c"), true}, {bindTo("", "d"), false}, {bindTo("", "t"), false}} {
		if v := l.Begin(tc.b); v.Verb != Start || l.Recalls() != tc.want {
			t.Errorf("%q: %v, %t", tc.b, v.Verb, l.Recalls())
		}
	}
}
