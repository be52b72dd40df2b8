package ledger

import (
	"testing"
	"time"
)

func newLoad(t *testing.T) *Load {
	t.Helper()
	l, err := New(Config{WriteDSN: "postgres://app@127.0.0.1:1/app", Clients: 1})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAnOperationCountsInTheEventThatItTouched(t *testing.T) {
	l := newLoad(t)
	c := l.clients[0]
	inFlight := c.begin(true)
	whole := c.begin(false)
	c.end(whole, Acknowledged, nil)
	l.Mark("during", true)
	c.end(inFlight, Unknown, said("FATAL", "08007"))
	late := c.begin(true)
	l.Mark("after", false)
	c.end(late, Acknowledged, nil)
	after := c.begin(true)
	after.stage = Committing
	c.end(after, Failed, said("ERROR", "40001"))

	windows := l.Windows()
	want := []struct {
		name                  string
		acknowledged, unknown int64
		failed                int64
	}{{"before", 1, 0, 0}, {"during", 1, 1, 0}, {"after", 0, 0, 1}}
	for i, w := range want {
		got := windows[i]
		if got.Name != w.name || got.Acknowledged != w.acknowledged || got.Unknown != w.unknown || got.Failed != w.failed {
			t.Errorf("window %d: %s with %d acknowledged, %d unknown, %d failed; want %+v", i, got.Name, got.Acknowledged, got.Unknown, got.Failed, w)
		}
	}
	if windows[1].Errors["08007"] != 1 || windows[2].Errors["40001"] != 1 {
		t.Errorf("errors: %v and %v", windows[1].Errors, windows[2].Errors)
	}
	if n := windows[2].Faults[Fault{Committing, "40001"}]; n != 1 {
		t.Errorf("the commit that failed stands among %v", windows[2].Faults)
	}
	if f := windows[2].Failures; len(f) != 1 || !f[0].Began.Equal(after.began) || f[0].Ended.Before(f[0].Began) {
		t.Errorf("of the commit that failed is kept %+v", f)
	}
	if total := l.Total(); total.Acknowledged != 2 || total.Errors["08007"] != 1 || total.Errors["40001"] != 1 {
		t.Errorf("total: %d acknowledged, errors %v", total.Acknowledged, total.Errors)
	}
}

func TestTheLongestGapBetweenWritesIsKeptPerWindow(t *testing.T) {
	l := newLoad(t)
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	l.answered(at(0), time.Millisecond, true)
	l.answered(at(10), time.Millisecond, true)
	l.Mark("during", true)
	l.answered(at(500), time.Millisecond, false)
	l.answered(at(1010), time.Millisecond, true)
	l.answered(at(1020), time.Millisecond, true)
	windows := l.Windows()
	if got := windows[0].Gap.Length(); got != 10*time.Millisecond {
		t.Errorf("gap before: %v, want 10ms", got)
	}
	if got := windows[1].Gap; got.Length() != time.Second || !got.To.Equal(at(1010)) {
		t.Errorf("gap during: %v until %v, want 1s until %v", got.Length(), got.To, at(1010))
	}
}

func TestTheFirstWriteAfterAMomentIsKnownInAnEvent(t *testing.T) {
	l := newLoad(t)
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	l.answered(at(0), time.Millisecond, true)
	l.Mark("during", true)
	for _, ms := range []int{10, 510, 610, 605} { // told in another order than they came
		l.answered(at(ms), time.Millisecond, true)
	}
	l.answered(at(600), time.Millisecond, false)
	l.Mark("after", false)
	l.answered(at(1000), time.Millisecond, true)
	windows := l.Windows()
	for since, want := range map[int]time.Time{0: at(10), 510: at(510), 511: at(605), 611: {}} {
		if got := windows[1].FirstWrite(at(since)); !got.Equal(want) {
			t.Errorf("the first write after %d ms came at %v, want %v", since, got.Sub(start), want.Sub(start))
		}
	}
	if got := windows[2].FirstWrite(start); !got.IsZero() {
		t.Errorf("nothing happened, and writes were kept: %v", got)
	}
}

func TestValuesAreQuotedIntoSimpleQueries(t *testing.T) {
	got := interpolate("SELECT $1, $2, $10", []string{"a'b", "$1", "", "", "", "", "", "", "", "ten"})
	if want := "SELECT 'a''b', '$1', 'ten'"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestConfigsThatMakeNoSenseAreRefused(t *testing.T) {
	cases := map[string]Config{
		"no DSN":         {},
		"half a mix":     {WriteDSN: "postgres://h/d", Mix: Mix{Lookup: 50}},
		"negative rate":  {WriteDSN: "postgres://h/d", Rate: -1},
		"unreadable DSN": {WriteDSN: "postgres://h:port/d"},
	}
	for name, c := range cases {
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
