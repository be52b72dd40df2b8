package state

import "github.com/pgrouter/pgrouter/event"

// pinByKeyword reads what stands behind the first keyword of a statement, for those that pin by themselves.
func pinByKeyword(first kw, s scanner) event.PinReason {
	switch first {
	case kwSet:
		return pinBySet(s)
	case kwCreate:
		return pinByCreate(s)
	case kwDeclare:
		return pinByDeclare(s)
	case kwPrepare:
		return pinByPrepare(s)
	case kwListen:
		return event.PinListen
	case kwLoad:
		return event.PinLoad
	case kwUnknown, kwQuery, kwSession, kwPlain, kwEnd, kwExplain, kwCall, kwDo:
	}
	return event.PinNone
}

// pinBySet reads what stands behind SET. The words that make it harmless are no reserved ones: before a dot each of them is
// the first half of a custom setting's name.
func pinBySet(s scanner) event.PinReason {
	name := s.next()
	if name.is("session") {
		name = s.next()
	}
	switch {
	case s.at('.'):
		return event.PinSetting
	case name.is("local"), name.is("transaction"), name.is("constraints"):
		return event.PinNone
	case name.names("role"), name.is("authorization"), name.names("session_authorization"):
		return event.PinRole
	case name.is("time"), name.is("names"): // SET TIME ZONE, SET NAMES: reported
		return event.PinNone
	case name.kind == tokenWord && index(string(name.text)) >= 0: // the conversion does not escape: no allocation
		return event.PinNone
	}
	return event.PinSetting
}

// pinByCreate reads what stands behind CREATE. Things in the schema pg_temp are found by its name.
func pinByCreate(s scanner) event.PinReason {
	t := s.next()
	for t.is("or") || t.is("replace") || t.is("local") || t.is("global") {
		t = s.next()
	}
	if (t.is("temp") || t.is("temporary")) && !dropsOnCommit(s) {
		return event.PinTempTable
	}
	return event.PinNone
}

// dropsOnCommit reads what stands behind CREATE TEMP: a table goes with its transaction when ON COMMIT DROP stands outside of
// all parentheses and before a query. ON, AS and CREATE are reserved, so that nothing else reads like it.
func dropsOnCommit(s scanner) bool {
	if !s.next().is("table") {
		return false
	}
	depth := 0
	for before, last := (token{}), s.next(); ; {
		t := s.next()
		switch {
		case t.kind == tokenNone, t.sign(';'), t.is("create"):
			return false
		case t.sign('('):
			depth++
		case t.sign(')'):
			depth--
		case depth == 0 && t.is("as"):
			return false
		case depth == 0 && t.is("drop") && last.is("commit") && before.is("on"):
			return true
		}
		before, last = last, t
	}
}

// pinByDeclare reads what stands behind DECLARE: only a cursor WITH HOLD outlives its transaction. A second DECLARE, which
// may be the cursor's name, is in doubt.
func pinByDeclare(s scanner) event.PinReason {
	with := false
	for {
		t := s.next()
		switch {
		case t.is("for"), t.sign(';'), t.kind == tokenNone:
			return event.PinNone
		case t.is("declare"), with && t.is("hold"):
			return event.PinCursor
		}
		with = t.is("with")
	}
}

// pinByPrepare reads what stands behind PREPARE. TRANSACTION is no reserved word, a statement may have that name.
func pinByPrepare(s scanner) event.PinReason {
	if preparesTransaction(s) && s.next().kind != tokenNone && s.next().kind == tokenString {
		return event.PinNone
	}
	return event.PinPreparedStatement
}

func preparesTransaction(s scanner) bool { return s.next().is("transaction") }

// pinByExplain looks for a CREATE TABLE AS in an EXPLAIN, which with ANALYZE makes the table. CREATE is a reserved word.
func pinByExplain(s scanner) event.PinReason {
	for t := s.next(); t.kind != tokenNone; t = s.next() {
		if t.is("create") {
			return pinByCreate(s)
		}
	}
	return event.PinNone
}

// pinByBody reads what stands behind DO. Its code is a string, and code in there that EXECUTE is given is a string again.
func pinByBody(s scanner) event.PinReason {
	for t := s.next(); t.kind != tokenNone; t = s.next() {
		if t.kind != tokenString {
			continue
		}
		if why := pinByCode(scanner{t.text, s.how}, true); why != event.PinNone {
			return why
		}
	}
	return event.PinNone
}

// pinByCode reads code as if it were PL/pgSQL: a statement stands at its beginning, behind a semicolon, or behind one of few
// words. It is best effort: a statement that is put together from pieces is not seen.
func pinByCode(s scanner, withStrings bool) event.PinReason {
	why := event.PinNone
	begins := true
	for last, t := (token{}), s.next(); t.kind != tokenNone && why == event.PinNone; last, t = t, s.next() {
		why = pinByToken(last, t, s)
		if why == event.PinNone && begins {
			why = pinByKeyword(keyword(t), s)
		}
		if why == event.PinNone && t.kind == tokenString && withStrings {
			why = pinByCode(scanner{t.text, s.how}, false)
		}
		begins = t.sign(';') || t.sign('>') || t.is("begin") || t.is("then") || t.is("else") || t.is("loop")
	}
	return why
}
