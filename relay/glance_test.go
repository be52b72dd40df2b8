package relay

import (
	"reflect"
	"testing"

	"github.com/pgrouter/pgrouter/event"
)

// TestWhatBeginHasSeenIsOfThatMessageAlone: one that is thrown away, refused or admitted says nothing of those behind it, and one that
// has to wait is what it was.
func TestWhatBeginHasSeenIsOfThatMessageAlone(t *testing.T) {
	plain, listens := query("select 'nothing that anybody would remember'"), query("listen x")
	for _, tc := range []struct {
		name          string
		first, second []byte
		refuses, gone bool // the first is cancelled
		pins          event.PinReason
	}{
		{"the first alone pins", listens, plain, false, false, event.PinListen},
		{"the second alone pins", plain, listens, false, false, event.PinListen},
		{"what is cancelled does not", listens, plain, false, true, event.PinNone},
		{"what was cancelled does not say so", plain, listens, false, true, event.PinListen},
		{"what is refused does not", listens, plain, true, false, event.PinNone},
		{"the longer text comes first", query("select 1 /* and much that is said besides */"), query("listen x"), false, false, event.PinListen},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := &Link{Observer: deaf{}, RefusePins: tc.refuses}
			b := join(tc.first, tc.second)
			if v := l.Begin(b); v.Verb != Start {
				t.Fatalf("begins with %v", v.Verb)
			}
			if tc.gone {
				used, _, _ := l.Cancelled(b)
				b = b[used:]
			}
			l.Attach(false, event.PinNone)
			for len(b) > 0 {
				v := l.FromClient(b)
				if v.Verb != More && v.Verb != Replace {
					t.Fatalf("%q: %v", b, v.Verb)
				}
				b = b[v.N+v.Skip:]
			}
			if l.Pinned() != tc.pins {
				t.Errorf("pinned for %v, want %v", l.Pinned(), tc.pins)
			}
		})
	}
}

// TestAGlanceThatHasToWaitIsHeeded: in front of the message stands what takes a stranger's numbers away.
func TestAGlanceThatHasToWaitIsHeeded(t *testing.T) {
	l := &Link{Observer: deaf{}}
	b := query("select pg_advisory_lock(1), lastval()")
	if v := l.Begin(b); v.Verb != Start || !l.Recalls() {
		t.Fatalf("%v, recalls: %t", v.Verb, l.Recalls())
	}
	l.Attach(false, event.PinNone)
	l.Foreign()
	if v := l.FromClient(b); v.Verb != Insert || v.N > 0 {
		t.Fatalf("%+v", v)
	}
	l.Insertion(nil)
	if v := l.FromClient(b); v.Verb != More || v.N != len(b) || l.Pinned() != event.PinAdvisoryLock {
		t.Errorf("%+v, pinned for %v", v, l.Pinned())
	}
}

// TestNoCountIsOverlooked: a tally is empty when all of its counts are 0.
func TestNoCountIsOverlooked(t *testing.T) {
	fields := reflect.TypeFor[Tally]()
	for i := range fields.NumField() {
		var n Tally
		reflect.ValueOf(&n).Elem().Field(i).SetUint(1)
		if n.Empty() {
			t.Errorf("a tally of one of its %s is empty", fields.Field(i).Name)
		}
	}
	if n := (Tally{}); !n.Empty() {
		t.Error("a tally of nothing is not empty")
	}
}
