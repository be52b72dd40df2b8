package state

import (
	"bytes"

	"github.com/pgrouter/pgrouter/event"
)

// sessionFunctions are functions, besides those for advisory locks and settings, whose effect stays with the session that
// calls them. Constant table.
var sessionFunctions = [...]string{
	"pg_backup_start", "pg_start_backup", "pg_replication_origin_session_setup", "dblink_connect", "dblink_connect_u",
	"pg_create_physical_replication_slot", "pg_create_logical_replication_slot",
	"pg_copy_physical_replication_slot", "pg_copy_logical_replication_slot",
}

// suspects are the two sides of an underscore that each name has which pinByToken knows. Constant table.
var suspects = [...]struct{ before, behind string }{
	{"advisory", "lock"}, {"set", "config"}, {"pg", "temp"},
	{"backup", "start"}, {"start", "backup"}, {"session", "setup"}, {"dblink", "connect"}, {"replication", "slot"},
}

// suspect tells quickly whether pinByName may find something: it looks for fragments, in strings and comments too.
func suspect(sql []byte) bool {
	if bytes.Contains(sql, codedQuote) || tempEndingIn(sql, 'p') || tempEndingIn(sql, 'P') {
		return true
	}
	for at := 0; ; at++ {
		i := bytes.IndexByte(sql[at:], '_')
		if i < 0 {
			return false
		}
		at += i
		if suspectAt(sql[:at], sql[at+1:]) {
			return true
		}
	}
}

// suspectAt judges the two sides of an underscore. Most are told by one letter.
func suspectAt(before, behind []byte) bool {
	if len(behind) == 0 {
		return false
	}
	first := behind[0] | 0x20
	for i := range suspects {
		if suspects[i].behind[0] == first && beginsFold(behind, suspects[i].behind) && endsFold(before, suspects[i].before) {
			return true
		}
	}
	return false
}

// tempEndingIn looks for TEMP, whose last letter is p in this case. That letter is rare.
func tempEndingIn(sql []byte, p byte) bool {
	for at := 0; ; at++ {
		i := bytes.IndexByte(sql[at:], p)
		if i < 0 {
			return false
		}
		at += i
		if at > 0 && sql[at-1]|0x20 == 'm' && endsFold(sql[:at], "tem") {
			return true
		}
	}
}

// pinByName looks for what leaves something on a server wherever it stands in a statement. It is best effort: what hides
// inside other functions no lexer sees.
func pinByName(s scanner) event.PinReason {
	for last, t := (token{}), s.next(); t.kind != tokenNone; last, t = t, s.next() {
		if why := pinByToken(last, t, s); why != event.PinNone {
			return why
		}
	}
	return event.PinNone
}

// pinByToken judges one token with the one before it and what stands behind.
func pinByToken(last, t token, behind scanner) event.PinReason {
	switch {
	case t.kind == tokenCoded: // it may be any name
		return event.PinUncertain
	case t.is("into"):
		if !last.is("insert") && !last.is("merge") && intoTemp(behind) {
			return event.PinTempTable
		}
	case !t.isName():
	case behind.at('('):
		return pinByFunction(t, behind)
	case behind.at('.') && isTempSchema(t.text):
		return event.PinTempTable
	}
	return event.PinNone
}

// intoTemp reads what stands behind the INTO of a SELECT.
func intoTemp(s scanner) bool {
	t := s.next()
	if t.is("local") || t.is("global") {
		t = s.next()
	}
	return t.is("temp") || t.is("temporary")
}

// isTempSchema knows the alias of a session's temporary schema and the schema's own name, pg_temp_3.
func isTempSchema(name []byte) bool {
	return equalFold(name, "pg_temp") || beginsFold(name, "pg_temp_")
}

// pinByFunction judges the call of a function. Names are compared without regard to case even in quotes, and a function that
// is called like an advisory lock, whatever stands in front and behind, is held to take one.
func pinByFunction(name token, call scanner) event.PinReason {
	switch {
	case takesAdvisoryLock(name.text):
		return event.PinAdvisoryLock
	case name.names("set_config"):
		if setsLocally(call) {
			return event.PinNone
		}
		return event.PinSetting
	}
	for _, known := range sessionFunctions {
		if name.names(known) {
			return event.PinUncertain
		}
	}
	return event.PinNone
}

// takesAdvisoryLock tells pg_advisory_lock, pg_try_advisory_lock_shared and the like from pg_advisory_xact_lock and
// pg_advisory_unlock.
func takesAdvisoryLock(name []byte) bool {
	const part = "advisory_lock"
	for i := range name {
		if beginsFold(name[i:], part) {
			return true
		}
	}
	return false
}

// setsLocally reads the arguments of set_config: the third must be the word true and nothing more. A set_config among them
// is in doubt.
func setsLocally(call scanner) bool {
	call.next() // the parenthesis
	for depth, commas := 1, 0; ; {
		t := call.next()
		switch {
		case t.kind == tokenNone, t.names("set_config"):
			return false
		case t.sign('('), t.sign('['):
			depth++
		case t.sign(')'), t.sign(']'):
			depth--
		case t.sign(',') && depth == 1:
			commas++
		}
		if depth == 0 {
			return false
		}
		if commas == 2 {
			return call.next().is("true") && call.at(')')
		}
	}
}
