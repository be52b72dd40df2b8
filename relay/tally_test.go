package relay

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// TestTheTallyCountsWhatIsAnswered: queries and transactions count when they have ended, our own prelude never.
func TestTheTallyCountsWhatIsAnswered(t *testing.T) {
	ready := func(status byte) []byte {
		return pgwire.AppendReadyForQuery(pgwire.AppendCommandComplete(nil, "SELECT 1"), status)
	}
	prepared := pgwire.AppendReadyForQuery(pgwire.AppendParseComplete(nil), StatusIdle)
	for name, c := range map[string]struct {
		link *Link
		want Tally
	}{
		"asked":      {linked(t, false, event.PinNone, query("select 1")), Tally{}},
		"answered":   {linked(t, false, event.PinNone, query("select 1"), ready(StatusIdle)), Tally{Queries: 1, Transactions: 1}},
		"in a block": {linked(t, false, event.PinNone, query("begin"), ready(StatusBlock)), Tally{Queries: 1}},
		"prepared": {
			linked(t, false, event.PinNone, join(parse("", "select 1"), pgwire.AppendSync(nil)), prepared),
			Tally{Queries: 1, Transactions: 1, ClientParses: 1, ServerParses: 1},
		},
	} {
		if diff := cmp.Diff(c.want, c.link.Tally); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	l := &Link{Observer: deaf{}}
	l.Attach(false, event.PinNone)
	l.Prelude()
	if v := l.FromServer(ready(StatusIdle)); v.Verb != Drop {
		t.Fatalf("%+v", v)
	}
	l.FromServer(pgwire.AppendReadyForQuery(nil, StatusIdle))
	if l.Tally != (Tally{}) {
		t.Errorf("our own prelude counts: %+v", l.Tally)
	}
}
