package relay

import (
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/state"
)

// What a unit of work may change of its session's settings is noted when it is sent: at a Query, and at a Bind of a statement that
// does it. Whether it was done, and whether it lasts, a server is asked at the end: an error, a rollback, a savepoint may undo it.

// Touched returns the settings that the unit may have changed, nil when there are none. It is valid until the unit ends.
func (l *Link) Touched() *state.Touched { return l.unit.touched }

// Pin pins the session to its server, for a reason that a link cannot see.
func (l *Link) Pin(why event.PinReason) { l.pinFor(why) }

// touches returns which settings a text touches when it is run, nil when none.
func touches(class state.Class, text []byte) *state.Touched {
	if !class.Touches {
		return nil
	}
	return state.ReadTouched(text)
}

// touch notes that settings are about to be changed.
func (l *Link) touch(what *state.Touched) {
	if what == nil || what.Nothing() {
		return
	}
	if l.unit.touched == nil {
		l.unit.touched = new(state.Touched)
	}
	l.unit.touched.Add(what)
	if l.unit.touched.Unknown {
		l.pinFor(event.PinSetting)
	}
	l.AskLater(AskSettings)
}
