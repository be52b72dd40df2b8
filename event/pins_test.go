package event

import "testing"

func TestASetOfPinsShowsItsFirstReason(t *testing.T) {
	for _, tc := range []struct {
		set  Pins
		want PinReason
	}{
		{0, PinNone},
		{PinsOf(PinNone), PinNone},
		{PinsOf(PinCursor, PinListen), PinListen},
		{PinsOf(PinListen, PinUncertain), PinUncertain},
		{PinsOf(PinLoad), PinLoad},
	} {
		if got := tc.set.First(); got != tc.want {
			t.Errorf("%b shows %v, want %v", tc.set, got, tc.want)
		}
	}
	set := PinsOf(PinListen)
	if !set.Has(PinListen) || set.Has(PinCursor) || set.Has(PinNone) || Pins(0).Has(PinNone) {
		t.Errorf("%b", set)
	}
}
