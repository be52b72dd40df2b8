package relay

import "github.com/pgrouter/pgrouter/event"

// Told are the pins of which a server can say whether they hold. The others last as long as the server does.
const Told event.Pins = 1<<event.PinPreparedStatement | 1<<event.PinListen | 1<<event.PinTempTable | 1<<event.PinCursor |
	1<<event.PinAdvisoryLock

// Held takes the answer to AskPins: what really holds of what the server can tell. The words of a text had it pinned for more. Of
// prepared statements HavePrepared tells.
func (l *Link) Held(held event.Pins) {
	told := Told &^ event.PinsOf(event.PinPreparedStatement)
	l.pins = l.pins&^told | held&told
}

func (l *Link) pinFor(why event.PinReason) {
	if why != event.PinNone {
		l.pinsFor(event.PinsOf(why))
	}
}

// pinsFor pins for what the unit of work under way may leave on the server.
func (l *Link) pinsFor(why event.Pins) {
	if l.sequences.drawn {
		why &^= event.PinsOf(event.PinSequence)
	}
	l.pins |= why
	l.unit.pins |= why
}

// inTheDark reports whether not all is known of the client's settings: it keeps its server for that.
func (l *Link) inTheDark() bool {
	const unknown = 1<<event.PinSetting | 1<<event.PinRole | 1<<event.PinUncertain
	return l.pins&unknown != 0
}

// mayBeFree reports whether what pins may be gone at the end of a unit of work, so that it is worth a question: something was done
// that ends it, or it is of this very unit, of which something has failed or was in a transaction block that has ended.
func (l *Link) mayBeFree() bool {
	u := &l.unit
	return l.pins != 0 && l.pins&^Told == 0 && (u.frees || u.pins != 0 && (u.failed || u.ended || u.prepares))
}

// heedPins takes the tag of a statement that was done. It is the best evidence there is: of a statement that was prepared long ago,
// too, and in any spelling. What a statement does that runs others, the tag does not say. Of one that is not here to its end nothing
// is known.
func (l *Link) heedPins(tag []byte, whole bool) {
	if l.pins == 0 && (len(tag) == 0 || tag[0] != 'L') {
		return
	}
	tag, _, _ = cutString(tag)
	switch string(tag) {
	case "LISTEN":
		l.pinFor(event.PinListen)
	case "LOAD":
		l.pinFor(event.PinLoad)
	}
	if !whole {
		l.unit.ended, l.unit.frees = true, true
	}
	switch string(tag) {
	case "COMMIT", "ROLLBACK", "PREPARE TRANSACTION":
		l.unit.ended = true
	case "UNLISTEN", "DO", "CALL", "DISCARD", "DISCARD ALL", "DISCARD TEMP", "DEALLOCATE", "DEALLOCATE ALL", "CLOSE CURSOR", "CLOSE CURSOR ALL":
		l.unit.frees = true
	default:
		l.unit.frees = l.unit.frees || len(tag) > len(dropTag) && string(tag[:len(dropTag)]) == dropTag
	}
}

// dropTag begins the tags of DROP TABLE, DROP FUNCTION, DROP OWNED …
const dropTag = "DROP "
