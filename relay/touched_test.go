package relay

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

func touchedOf(names ...string) *state.Touched {
	var t state.Touched
	for _, name := range names {
		t.Settings = append(t.Settings, state.Touch{Name: name})
	}
	return &t
}

// TestAUnitKnowsWhatItHasTouched: at a Query, and at the Bind of a statement, be it parsed in another unit.
func TestAUnitKnowsWhatItHasTouched(t *testing.T) {
	parsed := append(pgwire.AppendParse(nil, "", "set app.tenant = 'x'", nil), pgwire.AppendSync(nil)...)
	parseDone := join(pgwire.AppendParseComplete(nil), readyIdle)
	bound := append(pgwire.AppendBind(nil, "", "", nil), pgwire.AppendSync(nil)...)
	for name, tc := range map[string]struct {
		before, reply []byte
		msg           []byte
		want          *state.Touched
		pin           event.PinReason
	}{
		"a query":                     {msg: query("begin; set work_mem = '1MB'; rollback"), want: touchedOf("work_mem")},
		"a query that is harmless":    {msg: query("set timezone = 'UTC'")},
		"a local setting":             {msg: query("set local work_mem = '1MB'")},
		"a name that is not known":    {msg: query("select set_config(n, 'x', false) from t"), want: &state.Touched{Unknown: true}, pin: event.PinSetting},
		"a statement that is parsed":  {msg: parsed},
		"a statement of another unit": {before: parsed, reply: parseDone, msg: bound, want: touchedOf("app.tenant")},
		"a statement of one batch":    {msg: join(pgwire.AppendParse(nil, "", "reset all", nil), bound), want: &state.Touched{All: true}},
	} {
		t.Run(name, func(t *testing.T) {
			l := linked(t, false, event.PinNone)
			if tc.before != nil {
				feedAll(t, tc.before, 1<<20, l, l.FromClient)
				feedAll(t, tc.reply, 1<<20, l, l.FromServer)
				l.NextUnit()
			}
			feedAll(t, tc.msg, 1<<20, l, l.FromClient)
			if diff := cmp.Diff(tc.want, l.Touched()); diff != "" {
				t.Error(diff)
			}
			if asks := l.Questions()&AskSettings != 0; asks != (tc.want != nil) || l.Pinned() != tc.pin {
				t.Errorf("asks: %t, pinned for %v", asks, l.Pinned())
			}
			l.NextUnit()
			if l.Touched() != nil || l.Questions() != 0 {
				t.Error("the next unit has touched it too")
			}
		})
	}
}
