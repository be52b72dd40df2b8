package state

import "github.com/pgrouter/pgrouter/event"

// judge says what the tokens of a text mean. Of what stands behind a keyword it is told later, token by token: a reader for each
// such keyword remembers how far it has come. The zero value is at the beginning of a text of SQL.
type judge struct {
	code     bool    // read as if it were PL/pgSQL
	begun    bool    // something of a statement has come
	first    kw      // what it begins with; not of code
	last     meaning // of the token before
	bored    bool    // no sign but a semicolon, and no string, means anything here
	analyzes bool    // this EXPLAIN runs what it explains
	created  bool    // and it has come to a CREATE
	updates  bool    // the statement has come to an UPDATE

	count  int  // statements so far; not of code, like the next two
	mayEnd bool // see Class
	writes bool // see ReadOnly
	frees  bool // see Class; in code it is not asked for

	touches bool // see Class
	sets    bool // see Class

	setting  settingReader
	creation creationReader
	cursor   cursorReader
	prepared preparedReader
	into     intoReader
	config   configReader
}

// take takes a token and returns why it pins, PinNone when it does not.
func (j *judge) take(t token) event.PinReason {
	switch {
	case t.sign(';'):
		return j.endStatement()
	case j.bored && !t.isName() && t.kind != tokenObscure:
		return event.PinNone
	}
	why := event.PinNone
	if j.reading() {
		why = j.readOn(t)
	}
	switch {
	case !j.begun:
		why = firstPin(why, j.begin(t))
	case !j.code && t.kind == tokenWord:
		j.word(t)
	}
	j.begun = !j.code || !beginsStatement(t)
	why = firstPin(why, j.name(t))
	j.bored = !j.code && j.last == meansNothing && !j.reading()
	return why
}

// reading reports whether anybody has something to read.
func (j *judge) reading() bool {
	return j.setting.step|j.creation.step|j.cursor.step|j.prepared.step|j.into.step|j.config.step != 0
}

// touched notes that a setting is touched: the session asks for its value later, and need not keep its server. In code, whose names
// are not read again, it does.
func (j *judge) touched(why event.PinReason) event.PinReason {
	if why == event.PinNone || j.code {
		return why
	}
	j.touches = true
	return event.PinNone
}

// prepares notes that a statement is prepared, which pins in code alone: the tag of a PREPARE tells of it, and what it has made can be made
// again.
func (j *judge) prepares(why event.PinReason) event.PinReason {
	if !j.code {
		return event.PinNone
	}
	return why
}

// beginsStatement tells what a statement may follow in code, besides a semicolon: few words, and the end of a label. It is best
// effort: a statement that is put together from pieces is not seen.
func beginsStatement(t token) bool {
	return t.sign('>') || t.is("begin") || t.is("then") || t.is("else") || t.is("loop")
}

// readOn lets read who has something to read.
func (j *judge) readOn(t token) (why event.PinReason) {
	if j.setting.step != 0 {
		why = j.touched(j.setting.take(t))
	}
	if j.creation.step != 0 {
		why = firstPin(why, j.creation.take(t))
	}
	if j.cursor.step != 0 {
		why = firstPin(why, j.cursor.take(t))
	}
	if j.prepared.step != 0 {
		why = firstPin(why, j.prepares(j.prepared.take(t)))
		j.mayEnd = j.mayEnd || t.is("transaction")
	}
	if j.into.step != 0 {
		why = firstPin(why, j.into.take(t))
	}
	if j.config.step != 0 {
		why = firstPin(why, j.touched(j.config.take(t)))
	}
	return why
}

// begin takes the first token of a statement.
func (j *judge) begin(t token) event.PinReason {
	first := keyword(t)
	if !j.code {
		j.first = first
		j.count++
		j.mayEnd = j.mayEnd || first == kwEnd || first == kwCall || first == kwDo || first == kwUnknown
		j.writes = j.writes || mayWrite(first)
	}
	switch first {
	case kwSet:
		j.setting.step = settingName
	case kwReset, kwDiscard:
		return j.touched(event.PinSetting)
	case kwCreate:
		j.creation.step = creationKind
	case kwDeclare:
		j.cursor.step = cursorOptions
	case kwPrepare:
		j.prepared.step = preparedName
	case kwListen:
		return event.PinListen
	case kwLoad:
		return event.PinLoad
	case kwUnknown, kwQuery, kwWith, kwSession, kwPlain, kwEnd, kwExplain, kwCall, kwDo:
	}
	return event.PinNone
}

// word takes a word behind the first token of a statement.
func (j *judge) word(t token) {
	switch j.first {
	case kwQuery:
		j.writes = j.writes || t.is("into") || t.is("update")
	case kwWith:
		j.writes = j.writes || isWriting(t)
	case kwEnd: // COMMIT PREPARED does what another session has begun
		j.writes = j.writes || t.is("prepared")
	case kwExplain:
		j.analyzes = j.analyzes || t.is("analyze") || t.is("analyse")
		j.writes = j.writes || j.analyzes && isWriting(t)
		if !j.created && t.is("create") { // TABLE AS, which with ANALYZE makes the table
			j.created = true
			j.creation.step = creationKind
		}
	default:
	}
}

// endStatement ends a statement. Who still has something to read says what it means that it will not come.
func (j *judge) endStatement() event.PinReason {
	why := j.touched(j.setting.end())
	why = firstPin(why, j.creation.end())
	why = firstPin(why, j.prepares(j.prepared.end()))
	why = firstPin(why, j.touched(j.config.end()))
	*j = judge{code: j.code, count: j.count, mayEnd: j.mayEnd, writes: j.writes, frees: j.frees, touches: j.touches, sets: j.sets}
	return why
}

// obscure takes what cannot be read. Of a string without a known end the rest of the text cannot be read either.
func (j *judge) obscure(t token) event.PinReason {
	if t.char == '$' {
		j.mayEnd, j.writes = true, true
		j.count += 2
	}
	return event.PinUncertain
}

// class returns what is known of a text at its end.
func (j *judge) class() Class {
	return Class{MayEnd: j.mayEnd || j.count == 0, Multi: j.count > 1, Frees: j.frees, Touches: j.touches, Sets: j.sets}
}
