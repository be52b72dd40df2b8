package relay

import (
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// patient is a library whose units can be sent again.
type patient struct{ Library }

func (patient) Again() bool { return true }

// TestABatchThatAQueryEndsIsNotHealed: PostgreSQL reads over the Query, so that there is no ReadyForQuery behind which the unit could be sent
// again, and the client's Sync must not wait for one.
func TestABatchThatAQueryEndsIsNotHealed(t *testing.T) {
	changed := pgwire.AppendError(nil, &pgwire.Error{
		Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "0A000", Message: "cached plan must not change result type", Routine: revalidation,
	})
	for name, tc := range map[string]struct {
		end  []byte
		want Verb
	}{"a Sync": {syncMsg(), Drop}, "a Query": {query("select 1"), More}} {
		l := linked(t, false, event.PinNone)
		l.Library = patient{l.texts()}
		sends(t, l, parse("a", "select * from t"), syncMsg())
		answers(t, l, pgwire.AppendParseComplete(nil), readyIdle)
		l.NextUnit()
		sends(t, l, bindTo("", "a"), tc.end)
		if v := l.FromServer(changed); v.Verb != tc.want || l.healing != (tc.want == Drop) {
			t.Errorf("%s: %+v, healing: %v", name, v, l.healing)
		}
		if v := l.FromClient(syncMsg()); tc.want == More && v.Verb != More {
			t.Errorf("%s: the Sync behind it: %+v", name, v)
		}
	}
}
