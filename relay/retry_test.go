package relay

import (
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

var prepareDone = join(pgwire.AppendCloseComplete(nil), pgwire.AppendParseComplete(nil), pgwire.AppendBindComplete(nil), pgwire.AppendCommandComplete(nil, "PREPARE"), readyIdle)

// prepareFailed is how a server answers a replay that fails.
func prepareFailed(why string) []byte {
	return join(pgwire.AppendCloseComplete(nil), pgwire.AppendParseComplete(nil), pgwire.AppendBindComplete(nil), serverError("42P01", why), readyIdle)
}

var notThere = join(serverError(pgwire.CodeInvalidStatementName, `prepared statement "a" does not exist`), readyIdle)

// lacking returns a link that keeps its server, on which b was prepared and a was not.
func lacking(t *testing.T) *Link {
	t.Helper()
	var p preparing
	l := linked(t, false, event.PinNone)
	l.sql.mine = p.of("a", "b")
	l.Replays(p.settings.Empty())
	feedAll(t, query("create temp table t(n int)"), 1<<20, l, l.FromClient)
	if got := l.Pinned(); got != event.PinTempTable {
		t.Fatalf("pinned for %v", got)
	}
	answers(t, l, prepareFailed("gone"), prepareDone, pgwire.AppendCommandComplete(nil, "CREATE TABLE"), readyIdle)
	l.NextUnit()
	return l
}

// answers lets a server answer all that is outstanding, and returns what the client sees of it.
func answers(t *testing.T, l *Link, said ...[]byte) string {
	t.Helper()
	shown := shownOf(l, join(said...), 1<<20)
	if l.Outstanding() > 0 {
		t.Fatalf("%d outstanding behind %q", l.Outstanding(), said)
	}
	return shown
}

// sends returns the kinds of messages that the server gets for what a client sends.
func sends(t *testing.T, l *Link, sent ...[]byte) string {
	t.Helper()
	out, _ := feedAll(t, join(sent...), 1<<20, l, l.FromClient)
	return kindsOf(out)
}

// TestWhatIsMissingIsTriedAgain in front of each unit of work on a server that is kept, until it is there. Meanwhile the client is told
// why it was missing the last time.
func TestWhatIsMissingIsTriedAgain(t *testing.T) {
	l := lacking(t)
	if got := sends(t, l, query("begin")); got != "CPBESQ" {
		t.Fatalf("in front of a unit: %s", got)
	}
	answers(t, l, prepareFailed("still gone"), pgwire.AppendCommandComplete(nil, "BEGIN"), readyBlock)
	if got := sends(t, l, query("execute a")); got != "Q" {
		t.Fatalf("in a block: %s", got)
	}
	if got := answers(t, l, notThere); !strings.Contains(got, "still gone") {
		t.Errorf("the client is told: %q", got)
	}
	l.NextUnit()
	sends(t, l, query("execute a"))
	if got := answers(t, l, prepareDone, pgwire.AppendCommandComplete(nil, "SELECT 1"), readyIdle); strings.Contains(got, "ERROR") {
		t.Errorf("the client is told: %q", got)
	}
	l.NextUnit()
	if got := sends(t, l, query("execute a")); got != "Q" || l.LacksPreparations() {
		t.Errorf("once it is there: %s; it lacks something: %v", got, l.LacksPreparations())
	}
}

// TestWhatIsMissingIsTriedOnceInAUnit, and only in front of it.
func TestWhatIsMissingIsTriedOnceInAUnit(t *testing.T) {
	l := lacking(t)
	if got := sends(t, l, query("select 1"), query("execute a")); got != "CPBESQQ" {
		t.Errorf("two queries in one go: %s", got)
	}
	l = lacking(t)
	if got := sends(t, l, parse("", "select 1"), bindTo("", ""), parse("", "execute a"), bindTo("", ""), pgwire.AppendSync(nil)); got != "CPBESPBPBS" {
		t.Errorf("a batch: %s", got)
	}
	l = lacking(t)
	if v := l.FromClient(query("execute a")); v.Verb != Insert {
		t.Fatalf("%+v", v)
	}
	l.Insertion(new(state.Vector))
	answers(t, l, prepareFailed("gone"))
	if got := sends(t, l, query("execute a")); got != "Q" {
		t.Errorf("what had to wait for the answer: %s", got)
	}
	var p preparing
	l = linked(t, false, event.PinNone)
	l.sql.mine = p.of("a")
	l.Replays(p.settings.Empty())
	answers(t, l, prepareFailed("gone"))
	if got := sends(t, l, query("execute a")); got != "Q" {
		t.Errorf("on a server that is linked anew: %s", got)
	}
}

// TestWhatIsMissingIsNotTriedInTheDark: where it is not known under which settings, or what a Close would take away.
func TestWhatIsMissingIsNotTriedInTheDark(t *testing.T) {
	for name, dark := range map[string]func(l *Link){
		"a setting":         func(l *Link) { l.Pin(event.PinSetting) },
		"a role":            func(l *Link) { l.Pin(event.PinRole) },
		"what is uncertain": func(l *Link) { l.Doubt() },
		"too much":          func(l *Link) { l.sql.unknown = true },
	} {
		l := lacking(t)
		dark(l)
		if got := sends(t, l, query("execute a")); got != "Q" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestNoRetryGetsInTheWay of what the client has begun, whatever else is known of its unit.
func TestNoRetryGetsInTheWay(t *testing.T) {
	for name, begun := range map[string]struct{ sent, answer []byte }{
		"a block":        {query("begin"), join(pgwire.AppendCommandComplete(nil, "BEGIN"), readyBlock)},
		"a failed block": {query("begin"), join(pgwire.AppendCommandComplete(nil, "BEGIN"), errorOf("42601"), pgwire.AppendReadyForQuery(nil, StatusFailed))},
		"a batch":        {join(parse("", "select 1"), bindTo("", "")), join(pgwire.AppendParseComplete(nil), pgwire.AppendBindComplete(nil))},
		"a query":        {query("select 1"), nil},
	} {
		l := lacking(t)
		sends(t, l, begun.sent)
		shownOf(l, join(prepareFailed("gone"), begun.answer), 1<<20)
		l.unit.replays = false
		if got := sends(t, l, query("execute a")); got != "Q" || l.sql.missing == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestWhatTheClientHasPreparedAnewIsNotMissing: it would be closed.
func TestWhatTheClientHasPreparedAnewIsNotMissing(t *testing.T) {
	l := lacking(t)
	var p preparing
	rows := []PreparedRow{{Name: []byte("a"), SQL: []byte("prepare a as select 2")}, {Name: []byte("b"), SQL: []byte("prepare b as select 1")}}
	l.HavePrepared(rows, true, false, p.settings.Empty())
	if v := l.FromClient(query("execute a")); v.Verb != More || l.LacksPreparations() {
		t.Errorf("%+v; it lacks something: %v", v, l.LacksPreparations())
	}
}

// TestTheUnnamedStatementOutlivesARetry, which takes its place on the server.
func TestTheUnnamedStatementOutlivesARetry(t *testing.T) {
	l := lacking(t)
	sends(t, l, parse("", "select 1"), pgwire.AppendSync(nil))
	answers(t, l, prepareFailed("gone"), pgwire.AppendParseComplete(nil), readyIdle)
	l.NextUnit()
	if got := sends(t, l, bindTo("", ""), pgwire.AppendSync(nil)); got != "CPBESPBS" {
		t.Errorf("in front of its Bind: %s", got)
	}
}

// TestAFunctionCallEndsTheBatch: what is parsed in front of it shares no fate with what follows.
func TestAFunctionCallEndsTheBatch(t *testing.T) {
	l := lacking(t)
	sends(t, l, parse("", "select 1"), []byte{'F', 0, 0, 0, 12, 0, 0, 3, 0xbb, 0, 0, 0, 0})
	answers(t, l, prepareFailed("gone"), pgwire.AppendParseComplete(nil), []byte{'V', 0, 0, 0, 8, 255, 255, 255, 255}, readyIdle)
	l.NextUnit()
	if got := sends(t, l, bindTo("", ""), pgwire.AppendSync(nil)); got != "CPBESPBS" {
		t.Errorf("in front of its Bind: %s", got)
	}
}
