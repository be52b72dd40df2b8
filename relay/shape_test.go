package relay

import (
	"encoding/binary"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// column is what a RowDescription says of one.
type column struct {
	name     string
	table    uint32
	typ      uint32
	modifier int32
	format   uint16
}

func rowDescription(columns ...column) []byte {
	b := binary.BigEndian.AppendUint16([]byte{pgwire.KindRowDescription, 0, 0, 0, 0}, uint16(len(columns)))
	for _, c := range columns {
		b = append(append(b, c.name...), 0)
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(b, c.table), 1)
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(b, c.typ), 4)
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(b, uint32(c.modifier)), c.format)
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1))
	return b
}

var (
	plain    = column{name: "a", table: 7, typ: 23, modifier: -1}
	noParams = pgwire.AppendParameterDescription(nil, nil)
)

// TestAnotherShapeOnAnotherServerIsRefused: what counts as another is what counts for PostgreSQL.
func TestAnotherShapeOnAnotherServerIsRefused(t *testing.T) {
	wide := make([]column, 2000)
	for i := range wide {
		wide[i] = plain
	}
	wider := append(wide[:1999:1999], column{name: "b"})
	one := rowDescription(plain)
	for name, c := range map[string]struct {
		told, now []byte
		refused   bool
	}{
		"the same":                {one, one, false},
		"of another table":        {one, rowDescription(column{name: "a", table: 8, typ: 23, modifier: -1}), false},
		"in another format":       {one, rowDescription(column{name: "a", table: 7, typ: 23, modifier: -1, format: 1}), false},
		"another name":            {one, rowDescription(column{name: "b", table: 7, typ: 23, modifier: -1}), true},
		"another type":            {one, rowDescription(column{name: "a", table: 7, typ: 20, modifier: -1}), true},
		"another length":          {one, rowDescription(column{name: "a", table: 7, typ: 23, modifier: 9}), true},
		"one more":                {one, rowDescription(plain, plain), true},
		"none":                    {one, rowDescription(), true},
		"no rows":                 {one, pgwire.AppendNoData(nil), true},
		"no rows before and now":  {pgwire.AppendNoData(nil), pgwire.AppendNoData(nil), false},
		"rows that were not":      {pgwire.AppendNoData(nil), one, true},
		"too long to be compared": {rowDescription(wide...), rowDescription(wider...), false},
	} {
		if refused := refusedElsewhere(t, describe('S', "mine"), join(noParams, c.told), c.now); refused != c.refused {
			t.Errorf("%s: refused is %t", name, refused)
		}
	}
}

// TestADescribedPortalTellsOfItsStatement, whatever its formats and modifiers.
func TestADescribedPortalTellsOfItsStatement(t *testing.T) {
	batch := join(bindTo("", "mine"), describe('P', ""))
	answer := join(pgwire.AppendBindComplete(nil), rowDescription(column{name: "a", typ: 23, modifier: 5, format: 1}))
	if refusedElsewhere(t, batch, answer, rowDescription(plain)) {
		t.Error("the same was refused")
	}
	if !refusedElsewhere(t, batch, answer, rowDescription(column{name: "a", typ: 20})) {
		t.Error("another type was not")
	}
}

// refusedElsewhere lets a client ask for a shape on one server, and bind on another, which gives it the shape of now.
func refusedElsewhere(t *testing.T, question, answer, now []byte) bool {
	t.Helper()
	l := linked(t, false, event.PinNone, join(parse("mine", "select a from t"), question, syncMsg()), join(pgwire.AppendParseComplete(nil), answer, readyIdle))
	l.Detach()
	l.Attach(false, event.PinNone)
	bind := bindTo("", "mine")
	sent, last := feedAll(t, bind, 1<<20, l, l.FromClient)
	var kinds []byte
	for _, msg := range wholeMessages(sent) {
		kinds = append(kinds, msg[0])
	}
	if string(kinds) != "PD" || last != Full {
		t.Fatalf("before the Bind the server gets %q", sent)
	}
	feedAll(t, join(pgwire.AppendParseComplete(nil), noParams, now), 1<<20, l, l.FromServer)
	if l.Outstanding() > 0 || l.unit.answered || !l.MidMessage() {
		t.Fatalf("%d are outstanding, the client was shown something: %t", l.Outstanding(), l.unit.answered)
	}
	feedAll(t, join(bind, syncMsg()), 1<<20, l, l.FromClient)
	if !l.failsChanged(l.fifo.first()) {
		return false
	}
	shown, _ := feedAll(t, join(serverError("26000", `prepared statement "pgr?" does not exist`), readyIdle), 1<<20, l, l.FromServer)
	e, err := pgwire.ParseError(wholeMessages(shown)[0][pgwire.HeaderLen:])
	if err != nil || e.Code != "0A000" || e.Message != "cached plan must not change result type" || e.Routine != revalidation {
		t.Errorf("the client is told %v", e)
	}
	return true
}

// TestAQuestionThatIsNotAnsweredIsNotAskedAgain, and the Bind goes its way.
func TestAQuestionThatIsNotAnsweredIsNotAskedAgain(t *testing.T) {
	l := linked(t, false, event.PinNone, join(parse("mine", "select a from t"), describe('S', "mine"), syncMsg()),
		join(pgwire.AppendParseComplete(nil), noParams, rowDescription(plain), readyIdle))
	l.Detach()
	l.Attach(false, event.PinNone)
	bind := join(bindTo("", "mine"), syncMsg())
	feedAll(t, bind, 1<<20, l, l.FromClient)
	feedAll(t, join(pgwire.AppendParseComplete(nil), serverError("57014", "canceled")), 1<<20, l, l.FromServer)
	feedAll(t, bind, 1<<20, l, l.FromClient)
	feedAll(t, readyIdle, 1<<20, l, l.FromServer)
	l.NextUnit()
	if sent, _ := feedAll(t, bind, 1<<20, l, l.FromClient); sent[0] != pgwire.KindBind {
		t.Errorf("sent %q", sent)
	}
}

// TestRowsOfACursorAreNotCompared: what they look like is known when they are fetched, and to nobody else.
func TestRowsOfACursorAreNotCompared(t *testing.T) {
	l := linked(t, false, event.PinNone, join(parse("mine", "fetch all in c"), describe('S', "mine"), syncMsg()),
		join(pgwire.AppendParseComplete(nil), noParams, pgwire.AppendNoData(nil), readyIdle))
	l.Detach()
	l.Attach(false, event.PinNone)
	sent, last := feedAll(t, join(bindTo("", "mine"), syncMsg()), 1<<20, l, l.FromClient)
	var kinds []byte
	for _, msg := range wholeMessages(sent) {
		kinds = append(kinds, msg[0])
	}
	if string(kinds) != "PBS" || last != More {
		t.Errorf("the server gets %q", kinds)
	}
}

// TestACursorIsNobodyElses: who prepares the same words means another one.
func TestACursorIsNobodyElses(t *testing.T) {
	l := linked(t, false, event.PinNone, nil, nil)
	fetch := []byte("fetch all in c\x00\x00\x00")
	if one := l.statementOf(fetch); !one.Shared() || one == l.statementOf(fetch) {
		t.Error("two clients fetch from the same cursor")
	}
}

// TestWhatIsParsedAnewHasNoShapeYet: somebody else's ALTER TABLE may stand between. A Describe finds out.
func TestWhatIsParsedAnewHasNoShapeYet(t *testing.T) {
	const text = `select '\x41', * from t`
	warning := pgwire.AppendNotice(nil, &pgwire.Error{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "22P06", Message: "a backslash"})
	closed, parsed := pgwire.AppendCloseComplete(nil), pgwire.AppendParseComplete(nil)
	l := linked(t, false, event.PinNone)
	sends(t, l, parse("a", text), describe('S', "a"), syncMsg())
	answers(t, l, warning, parsed, noParams, rowDescription(plain), readyIdle)
	l.NextUnit()
	if got := sends(t, l, parse("b", text), syncMsg()); got != "CPS" {
		t.Fatalf("the next one who parses it is to be warned too: %s", got)
	}
	answers(t, l, closed, warning, parsed, readyIdle)
	l.NextUnit()
	out, v := feedAll(t, join(bindTo("", "a"), execute("", 0), syncMsg()), 1<<20, l, l.FromClient)
	if got := kindsOf(out); got != "D" || v != Full {
		t.Errorf("the Bind of who was told its shape before: %s, %v", got, v)
	}
}
