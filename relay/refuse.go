package relay

import (
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// Where nothing may pin, a request that would is replaced by one that fails on the server: a Query by a text that nobody can parse, a
// Bind by one of a statement that nobody has. So its error stands in order, and PostgreSQL itself fails the transaction and reads over
// what is left of the batch.

// unreadable is sent in the place of a query string. The server's log has it.
const unreadable = "refused by pgrouter: see on_pin in its configuration"

// refusing reports whether what would pin is refused. Then a Parse does not pin: its Bind is refused.
func (l *Link) refusing() bool { return l.RefusePins && !l.keeps }

// refuses returns why a request is refused that pins for these reasons, PinNone when it is not.
func (l *Link) refuses(why event.Pins) event.PinReason {
	switch {
	case !l.refusing():
		return event.PinNone
	case l.sequences.drawn:
		why &^= event.PinsOf(event.PinSequence)
	}
	return why.First()
}

// refuse looks whether a Query, or a Bind of the unnamed statement, is refused. A Query that need not be here as a whole never is:
// whether it is must not depend on how it arrives.
func (l *Link) refuse(f pgwire.Frame, body []byte) (v Verdict, refused bool) {
	switch f.Kind {
	case pgwire.KindQuery:
		if f.Len > holdLimit {
			return Verdict{}, false
		}
		if why := l.refuses(l.pinsOf(textOf(body))); why != event.PinNone {
			return l.refuseQuery(f, why), true
		}
	case pgwire.KindBind:
		portal, rest, _ := cutString(body)
		if name, _, ok := cutString(rest); !ok || len(name) > 0 || l.useUnnamed() != More {
			return Verdict{}, false
		}
		if why := l.refuses(l.runsUnnamed().allPins()); why != event.PinNone {
			return l.refuseBind(f, body[:len(portal)+1], nil, why), true
		}
	}
	return Verdict{}, false
}

// refuseQuery takes a Query as sawQuery does, but for what its text would do.
func (l *Link) refuseQuery(f pgwire.Frame, why event.PinReason) Verdict {
	s := l.names()
	s.words.push(refusal(why))
	l.unnamed.inBatch = false
	l.unnamed.unsettled++
	l.nextBatch()
	v := l.replaceBy(pgwire.AppendQuery(s.scratch[:0], unreadable), Entry(EntryQuery)|Unnamed|Reworded, f.Len)
	l.unit.open = false
	v.Pin = why
	return v
}

// refuseBind takes a Bind. front is what stands before the statement's name.
func (l *Link) refuseBind(f pgwire.Frame, front, name []byte, why event.PinReason) Verdict {
	l.Tally.Binds++
	l.names().words.push(refusal(why))
	v := l.rename(f, Entry(EntryBind)|Reworded, front, name, nobodys)
	v.Pin = why
	return v
}

// refusal is what the client is told.
func refusal(why event.PinReason) wording {
	return wording{instead: pgwire.ErrPinRefused.New("", why)}
}

// pinsOf returns for what a query string pins.
func (l *Link) pinsOf(text []byte) event.Pins {
	class := state.Classify(text)
	what := does{pins: event.PinsOf(pinOfQuery(class)), touched: touches(class, text)}.and(l.executing(text, true))
	if state.Executes(text) {
		what.pins = what.pins.With(class.Later)
	}
	if l.usesOwn(text, false) {
		what.pins = what.pins.With(event.PinPreparedStatement)
	}
	return what.allPins()
}

// pinOfQuery returns why a query string pins. One of several statements may ask for a number that it has drawn itself.
func pinOfQuery(class state.Class) event.PinReason {
	if class.Pin == event.PinSequence && class.Multi {
		return event.PinNone
	}
	return class.Pin
}

// allPins returns for what a statement pins each time that it runs.
func (d does) allPins() event.Pins {
	if d.touched != nil && d.touched.Unknown {
		return d.pins.With(event.PinSetting)
	}
	return d.pins
}

// usesOwn reports whether a text names by EXECUTE, or by DEALLOCATE where that counts, what the client has prepared by the protocol.
func (l *Link) usesOwn(text []byte, drops bool) bool {
	s := l.statements
	if s == nil || len(s.byName) == 0 {
		return false
	}
	for _, use := range state.PreparedUses(text) {
		if (drops || !use.Drops) && s.find([]byte(use.Name)) != nil {
			return true
		}
	}
	return false
}
