package pgwire

import (
	"bytes"
	"testing"
)

func TestAnUnfinishedPacketCostsNoMoreThanTwiceItsBytes(t *testing.T) {
	longest := append([]byte{0, 0, 0x27, 0x14, 0, 3, 0, 0}, bytes.Repeat([]byte{'x'}, MaxStartupLen-codeWord-1)...)
	for _, size := range []int{1, 7, 1000} {
		var s Startup
		for fed := 0; fed < len(longest); fed += size {
			piece := longest[fed:min(fed+size, len(longest))]
			if used, ev, err := s.Feed(piece); used != len(piece) || ev.Kind != EventNeedMore || err != nil {
				t.Fatalf("%d of %d, %v, %v", used, len(piece), ev.Kind, err)
			}
			if cap(s.body) > min(2*(fed+size), MaxStartupLen) {
				t.Fatalf("%d bytes kept for %d that came", cap(s.body), fed+size)
			}
		}
	}
}
