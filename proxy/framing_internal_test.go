package proxy

import (
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
)

// follow passes a stream in two pieces and tells which messages have begun.
func follow(stream []byte, cut int) (f framing, kinds string) {
	note := func(kind byte) { kinds += string(kind) }
	f.pass(stream[:cut], note)
	f.pass(stream[cut:], note)
	return f, kinds
}

func TestMessagesEndWhereTheirLengthSays(t *testing.T) {
	two := pgwire.AppendTerminate(pgwire.AppendQuery(nil, "SHOW x"))
	for cut := range two {
		if f, kinds := follow(two, cut); kinds != "QX" || !f.whole() || f.last != 'X' {
			t.Errorf("cut at %d: %q, %+v", cut, kinds, f)
		}
	}
	for end := range two {
		f, _ := follow(two[:end], 0)
		if whole := end == 0 || end == len(two)-len(pgwire.AppendTerminate(nil)); f.whole() != whole {
			t.Errorf("after %d bytes: %+v", end, f)
		}
	}
}

func TestNothingIsKnownBehindALengthThatCannotBe(t *testing.T) {
	broken := append(pgwire.AppendSync(nil), 'Q', 0, 0, 0, 3)
	if f, kinds := follow(append(broken, pgwire.AppendSync(nil)...), 0); kinds != "S" || f.whole() {
		t.Errorf("%q, %+v", kinds, f)
	}
}

// FuzzFraming: wherever a stream is cut, the same messages begin, and it is whole in the same places.
func FuzzFraming(f *testing.F) {
	f.Add(pgwire.AppendTerminate(pgwire.AppendQuery(nil, "SHOW x")), uint(3))
	f.Add([]byte{'d', 0, 0, 0, 3}, uint(1))
	f.Add([]byte{'d', 0xff, 0xff, 0xff, 0xff, 1}, uint(5))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint) {
		one, kinds := follow(stream, 0)
		two, again := follow(stream, int(cut%uint(len(stream)+1)))
		if kinds != again || one.whole() != two.whole() || !one.astray && one != two {
			t.Errorf("%q and %+v, cut: %q and %+v", kinds, one, again, two)
		}
	})
}
