package state

import "github.com/pgrouter/pgrouter/event"

// The readers of what stands behind a keyword, token by token. One with step 0 has nothing to read. take reads the next token,
// end is told that the statement has ended; both return why it pins.

// settingReader reads what stands behind SET, and returns why it would pin if the setting were not read back. A tracked parameter
// need not be, unless it goes back to its default. The words that make a SET harmless are no reserved ones: before a dot each of them
// is the first half of a custom setting's name.
type settingReader struct {
	step uint8
	why  event.PinReason // unless a dot follows

	tracked bool // the name is that of a tracked parameter
}

const (
	settingName    = 1 + iota // or SESSION
	settingSession            // the name behind that
	settingDot                // what stands behind the name
	settingValue              // of a tracked parameter: and behind that
)

func (r *settingReader) take(t token) event.PinReason {
	switch {
	case r.step == settingDot:
		r.step = 0
		if t.sign('.') {
			return event.PinSetting
		}
		if r.tracked {
			r.step = settingValue
			return r.value(t)
		}
		return r.why
	case r.step == settingValue:
		return r.value(t)
	case r.step == settingName && t.is("session"):
		r.step = settingSession
	default:
		r.step, r.why, r.tracked = settingDot, pinBySetting(t), isTracked(t)
	}
	return event.PinNone
}

// value takes a token of a tracked parameter's value. SET TIME ZONE LOCAL is another word for the default.
func (r *settingReader) value(t token) event.PinReason {
	if t.is("default") || t.is("local") {
		r.step = 0
		return event.PinSetting
	}
	return event.PinNone
}

func (r *settingReader) end() event.PinReason {
	switch {
	case r.step == 0, r.step == settingValue:
		return event.PinNone
	case r.step == settingDot && !r.tracked: // SET NAMES alone is its default
		return r.why
	}
	return event.PinSetting
}

// isTracked knows the words behind SET that name a tracked parameter: TIME ZONE and NAMES do too. The conversion does not escape:
// no allocation.
func isTracked(name token) bool {
	return name.is("time") || name.is("names") || name.kind == tokenWord && index(string(name.text)) >= 0
}

func pinBySetting(name token) event.PinReason {
	switch {
	case name.is("local"), name.is("transaction"), name.is("constraints"):
		return event.PinNone
	case name.names("role"), name.is("authorization"), name.names("session_authorization"):
		return event.PinRole
	case isTracked(name):
		return event.PinNone
	}
	return event.PinSetting
}

// creationReader reads what stands behind CREATE. Things in the schema pg_temp are found by its name. A temporary table goes with
// its transaction when ON COMMIT DROP stands outside of all parentheses and before a query. ON, AS and CREATE are reserved, so
// that nothing else reads like it.
type creationReader struct {
	step   uint8
	onDrop uint8 // how many words of ON COMMIT DROP stand right before
	depth  int   // of parentheses
}

const (
	creationKind  = 1 + iota // or what may stand in front of it
	creationTemp             // what is temporary
	creationTable            // the name of a table, or IF
	creationRest
)

func (r *creationReader) take(t token) event.PinReason {
	switch r.step {
	case creationKind:
		switch {
		case t.is("temp"), t.is("temporary"):
			r.step = creationTemp
		case !t.is("or") && !t.is("replace") && !t.is("local") && !t.is("global"):
			r.step = 0
		}
	case creationTemp:
		if !t.is("table") {
			return r.end()
		}
		r.step, r.onDrop, r.depth = creationTable, 0, 0
	case creationTable:
		r.step = creationRest
	case creationRest:
		return r.takeRest(t)
	}
	return event.PinNone
}

func (r *creationReader) takeRest(t token) event.PinReason {
	outside := r.depth == 0
	switch {
	case t.is("create"), outside && t.is("as"):
		return r.end()
	case t.sign('('):
		r.depth++
	case t.sign(')'):
		r.depth--
	case outside && r.onDrop == 2 && t.is("drop"):
		r.step = 0
	}
	switch {
	case t.is("on"):
		r.onDrop = 1
	case r.onDrop == 1 && t.is("commit"):
		r.onDrop = 2
	default:
		r.onDrop = 0
	}
	return event.PinNone
}

func (r *creationReader) end() event.PinReason {
	temporary := r.step > creationKind
	r.step = 0
	if temporary {
		return event.PinTempTable
	}
	return event.PinNone
}

// cursorReader reads what stands behind DECLARE: only a cursor WITH HOLD outlives its transaction. A second DECLARE, which may be
// the cursor's name, is in doubt.
type cursorReader struct {
	step uint8
}

const (
	cursorOptions = 1 + iota
	cursorWith    // what stands behind WITH
)

func (r *cursorReader) take(t token) event.PinReason {
	switch {
	case t.is("for"):
		r.step = 0
	case t.is("declare"), r.step == cursorWith && t.is("hold"):
		r.step = 0
		return event.PinCursor
	case t.is("with"):
		r.step = cursorWith
	default:
		r.step = cursorOptions
	}
	return event.PinNone
}

// preparedReader reads what stands behind PREPARE. TRANSACTION is no reserved word, a statement may have that name.
type preparedReader struct {
	step uint8
}

const (
	preparedName        = 1 + iota // or TRANSACTION
	preparedTransaction            // what stands behind that
)

func (r *preparedReader) take(t token) event.PinReason {
	if r.step == preparedName && t.is("transaction") {
		r.step = preparedTransaction
		return event.PinNone
	}
	if r.step == preparedTransaction && t.kind == tokenString {
		r.step = 0
		return event.PinNone
	}
	return r.end()
}

func (r *preparedReader) end() event.PinReason {
	if r.step == 0 {
		return event.PinNone
	}
	r.step = 0
	return event.PinPreparedStatement
}
