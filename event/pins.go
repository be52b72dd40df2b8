package event

import "math/bits"

// Pins is a set of reasons to pin. The zero value is empty.
type Pins uint16

// PinsOf returns the set of these reasons.
func PinsOf(reasons ...PinReason) (p Pins) {
	for _, r := range reasons {
		p = p.With(r)
	}
	return p
}

// With returns the set with one reason more; PinNone is none.
func (p Pins) With(r PinReason) Pins { return (p | 1<<r) &^ 1 }

// Has reports whether a reason is in the set.
func (p Pins) Has(r PinReason) bool { return p.With(r) == p && r != PinNone }

// First returns the reason that is shown for all of them, PinNone of the empty set: PinUncertain if it is there, because nothing
// ends it, else the first in the order of the constants.
func (p Pins) First() PinReason {
	switch {
	case p == 0:
		return PinNone
	case p.Has(PinUncertain):
		return PinUncertain
	}
	return PinReason(bits.TrailingZeros16(uint16(p)))
}
