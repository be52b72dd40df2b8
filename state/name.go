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

// mentions looks for a word in any case, in strings and comments too, by one of its letters that is rare and the one in front of
// that.
func mentions(sql []byte, before string, rare byte, behind string) bool {
	return mentionsBy(sql, before, rare, behind) || mentionsBy(sql, before, rare-'a'+'A', behind)
}

func mentionsBy(sql []byte, before string, letter byte, behind string) bool {
	last := before[len(before)-1]
	for at := 0; ; at++ {
		i := bytes.IndexByte(sql[at:], letter)
		if i < 0 {
			return false
		}
		at += i
		if at > 0 && sql[at-1]|0x20 == last && endsFold(sql[:at], before) && beginsFold(sql[at+1:], behind) {
			return true
		}
	}
}

// meaning is what a token says of the one behind it.
type meaning uint8

const (
	meansNothing  meaning = iota
	meansTarget           // INSERT, MERGE: their INTO makes no table
	meansLock             // a function that takes an advisory lock
	meansTryLock          // … or finds that somebody else has it
	meansUnlock           // a function that gives it back
	meansConfig           // set_config
	meansSession          // a function of sessionFunctions
	meansTemp             // the schema of temporary things
	meansNumber           // currval or lastval
	meansSettings         // the view whose UPDATE is a set_config
)

// meaningOf knows names. They are compared without regard to case even in quotes, and a function that is called like an
// advisory lock, whatever stands in front and behind, is held to take one.
func meaningOf(t token) meaning {
	switch {
	case t.is("insert"), t.is("merge"):
		return meansTarget
	case t.names("currval"), t.names("lastval"):
		return meansNumber
	case !t.isName() || bytes.IndexByte(t.text, '_') < 0:
		return meansNothing
	case contains(t.text, "try_advisory_lock"):
		return meansTryLock
	case contains(t.text, "advisory_lock"):
		return meansLock
	case contains(t.text, "advisory_unlock"):
		return meansUnlock
	case isTempSchema(t.text):
		return meansTemp
	case equalFold(t.text, "set_config"):
		return meansConfig
	case equalFold(t.text, "pg_settings"):
		return meansSettings
	}
	for _, known := range sessionFunctions {
		if equalFold(t.text, known) {
			return meansSession
		}
	}
	return meansNothing
}

// isTempSchema knows the alias of a session's temporary schema and the schema's own name, pg_temp_3.
func isTempSchema(name []byte) bool {
	return equalFold(name, "pg_temp") || beginsFold(name, "pg_temp_")
}

// contains finds a part of a name, in any case. "advisory_lock" tells pg_advisory_lock, pg_try_advisory_lock_shared and the like from
// pg_advisory_xact_lock and pg_advisory_unlock.
func contains(name []byte, part string) bool {
	for i := range name {
		if beginsFold(name[i:], part) {
			return true
		}
	}
	return false
}

// name looks for what leaves something on a server wherever it stands in a statement. It is best effort: what hides inside
// other functions no lexer sees.
func (j *judge) name(t token) event.PinReason {
	before := j.last
	j.last = meaningOf(t)
	j.updates = j.updates || t.is("update")
	switch {
	case t.kind == tokenObscure:
		return j.obscure(t)
	case t.is("into") && before != meansTarget:
		j.into.step = intoKind
	case t.sign('('):
		return j.call(before)
	case t.sign('.') && before == meansTemp:
		return event.PinTempTable
	case j.last == meansSettings && j.updates:
		return event.PinSetting
	}
	return event.PinNone
}

// call judges the call of a function.
func (j *judge) call(function meaning) event.PinReason {
	switch function {
	case meansTryLock:
		j.frees = true
		return event.PinAdvisoryLock
	case meansLock:
		return event.PinAdvisoryLock
	case meansUnlock:
		j.frees = true
	case meansSession:
		return event.PinUncertain
	case meansNumber:
		return event.PinSequence
	case meansConfig:
		j.sets = true
		j.config = configReader{step: configArguments, depth: 1}
	case meansNothing, meansTarget, meansTemp, meansSettings:
	}
	return event.PinNone
}

// intoReader reads what stands behind the INTO of a SELECT.
type intoReader struct {
	step uint8
}

const (
	intoKind = 1 + iota // or LOCAL, GLOBAL
	intoTemp            // what stands behind that
)

func (r *intoReader) take(t token) event.PinReason {
	if r.step == intoKind && (t.is("local") || t.is("global")) {
		r.step = intoTemp
		return event.PinNone
	}
	r.step = 0
	if t.is("temp") || t.is("temporary") {
		return event.PinTempTable
	}
	return event.PinNone
}

// configReader reads the arguments of set_config, which is local when the third is the word true and nothing more. A
// set_config among them is in doubt.
type configReader struct {
	step   uint8
	commas uint8
	depth  int // of parentheses
}

const (
	configArguments = 1 + iota
	configLocal     // the beginning of the third
	configEnd       // what stands behind it
)

func (r *configReader) take(t token) event.PinReason {
	switch {
	case r.step == configLocal && t.is("true"):
		r.step = configEnd
		return event.PinNone
	case r.step == configEnd && t.sign(')'):
		r.step = 0
		return event.PinNone
	case r.step != configArguments, t.names("set_config"):
		return r.end()
	case t.sign('('), t.sign('['):
		r.depth++
	case t.sign(')'), t.sign(']'):
		r.depth--
	case t.sign(',') && r.depth == 1:
		r.commas++
	}
	switch {
	case r.depth == 0:
		return r.end()
	case r.commas == 2:
		r.step = configLocal
	}
	return event.PinNone
}

func (r *configReader) end() event.PinReason {
	if r.step == 0 {
		return event.PinNone
	}
	r.step = 0
	return event.PinSetting
}
