package relay

import (
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
)

// TestWhatIsCancelledInTheLineIsToldRequestByRequest: E is an error that the client is owed, Z a ReadyForQuery.
func TestWhatIsCancelledInTheLineIsToldRequestByRequest(t *testing.T) {
	batch := join(parse("", "select 1"), bindTo("", ""), execute("", 0))
	long := query(strings.Repeat("x", 3*holdLimit))
	for name, tc := range map[string]struct {
		sent []byte
		owed string
		left int
	}{
		"a query":                     {query("select 1"), "EZ", 0},
		"queries":                     {join(query("begin"), query(insert), query("commit")), "EZEZEZ", 0},
		"batches":                     {join(batch, syncMsg(), batch, syncMsg()), "EZEZ", 0},
		"a batch without its sync":    {join(query("select 1"), batch), "EZE", 0},
		"a query in a failed batch":   {join(batch, query(insert), syncMsg()), "EZ", 0},
		"a sync that ends nothing":    {join(query("select 1"), syncMsg()), "EZZ", 0},
		"the rest of a COPY":          {join(query("select 1"), copyData, copyDone), "EZ", 0},
		"a function call":             {join(functionCall, query("select 1")), "EZEZ", 0},
		"a query in part":             {long[:2*holdLimit], "EZ", 0},
		"a parse in part":             {join(batch, parse("", strings.Repeat("x", 3*holdLimit))[:2*holdLimit]), "E", 0},
		"a query and half a header":   {join(query("select 1"), []byte{'Q', 0, 0}), "EZ", 3},
		"a query and then a good-bye": {join(query("select 1"), pgwire.AppendTerminate(nil)), "EZ", 5},
	} {
		t.Run(name, func(t *testing.T) {
			var l Link
			owed, left := cancelled(&l, tc.sent)
			if owed != tc.owed || len(left) != tc.left {
				t.Errorf("%d bytes are left, %s is owed; want %d and %s", len(left), owed, tc.left, tc.owed)
			}
		})
	}
}

// cancelled throws away what waits, as the proxy does.
func cancelled(l *Link, b []byte) (owed string, left []byte) {
	for {
		used, failed, ready := l.Cancelled(b)
		if used == 0 {
			return owed, b
		}
		b = b[used:]
		if failed {
			owed += "E"
		}
		if ready {
			owed += "Z"
		}
	}
}

// TestNothingOfWhatWasCancelledInTheLineStartsAUnit: neither the rest of a message nor that of a batch, whose Sync is answered.
func TestNothingOfWhatWasCancelledInTheLineStartsAUnit(t *testing.T) {
	long := join(parse("", strings.Repeat("x", 3*holdLimit)), bindTo("", ""), execute("", 0), syncMsg())
	for cut := holdLimit; cut < len(long); cut += 1000 {
		var l Link
		_, rest := cancelled(&l, long[:cut])
		rest = append(rest, long[cut:]...)
		for len(rest) > len(syncMsg()) {
			v := l.Begin(rest)
			if v.Verb != Drop {
				t.Fatalf("cut at %d: %+v before %d bytes", cut, v, len(rest))
			}
			rest = rest[v.Skip:]
		}
		if v := l.Begin(rest); v.Verb != Ready || v.Skip != len(rest) {
			t.Fatalf("cut at %d: %+v for the Sync", cut, v)
		}
		if v := l.Begin(query("select 1")); v.Verb != Start {
			t.Fatalf("cut at %d: %+v afterwards", cut, v)
		}
	}
}
