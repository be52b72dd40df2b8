package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// TestTheFirstWriteServedIsTheNewPrimarys has a switchover whose longest stretch without a write ended on the old primary, with
// the last of the work that was running there. The supervisor and the router tell later than things happen.
func TestTheFirstWriteServedIsTheNewPrimarys(t *testing.T) {
	begun := time.Now()
	at := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	var told journal
	for _, e := range []entry{
		{at: at(1700), source: sourceSupervisor, kind: string(testcluster.Promoted)},
		{at: at(470), source: sourceRouter, kind: string(event.SwitchoverStarted)},
		{at: at(1674), source: sourceRouter, kind: string(event.PrimaryChanged)},
	} {
		told.add(e)
	}
	e := &episode{
		kind: switchover, from: &testcluster.Node{}, to: &testcluster.Node{}, begun: begun, ended: at(3000), window: 1,
		entries: told.between(begun, at(3000)),
	}
	r := e.report([]ledger.Window{{}, {
		Gap:  ledger.Gap{From: at(822), To: at(1307)},
		Acks: []time.Time{at(800), at(822), at(1307), at(1310), at(1690), at(1688)},
	}})
	for name, c := range map[string]struct {
		got  *float64
		want float64
	}{
		"detected": {r.Detected, 470}, "writable": {r.NewPrimaryWritable, 1674}, "proven": {r.NewPrimaryProven, 1674},
		"served": {r.FirstWriteServed, 1688}, "no write for": {&r.WithoutWrite, 485},
	} {
		if c.got == nil {
			t.Errorf("%s is not told", name)
		} else if *c.got != c.want {
			t.Errorf("%s: %v ms, want %v", name, *c.got, c.want)
		}
	}
	for i := range r.Timeline[1:] {
		if r.Timeline[i].At > r.Timeline[i+1].At {
			t.Errorf("the timeline is not in order: %+v", r.Timeline)
		}
	}
}

// TestWithoutANewPrimaryNothingIsServedByIt is a switchover that was given up.
func TestWithoutANewPrimaryNothingIsServedByIt(t *testing.T) {
	begun := time.Now()
	e := &episode{kind: switchover, from: &testcluster.Node{}, to: &testcluster.Node{}, begun: begun, ended: begun.Add(time.Second)}
	r := e.report([]ledger.Window{{Acks: []time.Time{begun.Add(time.Millisecond)}}})
	if r.NewPrimaryWritable != nil || r.NewPrimaryProven != nil || r.FirstWriteServed != nil {
		t.Errorf("report %+v", r)
	}
}

func TestEachErrorIsExplained(t *testing.T) {
	var out strings.Builder
	r := Report{Errors: map[string]int64{"08007": 3, "57P01": 1200, ledger.ErrorRefused: 1, "22012": 1}}
	r.print(&out)
	for _, want := range []string{
		"errors: 08007 ×3, 22012 ×1, 57P01 ×1,200, refused ×1\n",
		"     08007   the server was lost with the statement on its way",
		"     57P01   the server was lost before anything could be committed",
		"     22012   the server's own error",
		"     refused nobody listened",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
