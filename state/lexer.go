package state

import (
	"bytes"

	"github.com/pgrouter/pgrouter/event"
)

// Class is what the router must know of a query string before it forwards it. It is a conservative reading of the first
// keywords, not a parse: what is not recognised may end a transaction.
type Class struct {
	// MayEnd: the text may end (commit or roll back) a transaction block, so that its loss leaves the outcome unknown.
	MayEnd bool
	// Multi: the text holds more than one statement.
	Multi bool
	// Procedural: CALL or DO, which may have effects of their own and are never sent a second time.
	Procedural bool
	// Pin: what the text leaves on the server that cannot be moved, PinNone when nothing is known.
	Pin event.PinReason
}

// Classify reads a query string. complete is false when sql is only the beginning of a longer text. It does not allocate.
func Classify(sql []byte, complete bool) Class {
	c := classifyOne(sql)
	if semi := bytes.IndexByte(sql, ';'); semi >= 0 && !onlySpace(sql[semi+1:]) {
		c = classifyMany(sql)
	}
	if !complete {
		c.MayEnd, c.Multi = true, true
	}
	return c
}

// classifyMany reads a text with several statements, or with semicolons in quotes.
func classifyMany(sql []byte) Class {
	var all Class
	count := 0
	for rest := sql; len(rest) > 0; {
		end := statementEnd(rest)
		one := rest[:end]
		rest = rest[min(end+1, len(rest)):]
		if onlySpace(skipBlank(one)) {
			continue
		}
		c := classifyOne(one)
		count++
		all.MayEnd = all.MayEnd || c.MayEnd
		all.Procedural = all.Procedural || c.Procedural
		if all.Pin == event.PinNone {
			all.Pin = c.Pin
		}
	}
	all.Multi = count > 1
	if bytes.IndexByte(sql, '\\') >= 0 { // without standard_conforming_strings the quotes may end elsewhere
		all.MayEnd = true
	}
	return all
}

// classifyOne reads one statement.
func classifyOne(sql []byte) Class {
	word, rest := keyword(sql)
	switch word {
	case kwSelect, kwWith:
		return Class{Pin: pinByFunction(rest)}
	case kwInsert, kwUpdate, kwDelete, kwPlain:
		return Class{}
	case kwSet:
		return Class{Pin: pinBySet(rest)}
	case kwCreate:
		return Class{Pin: pinByCreate(rest)}
	case kwDeclare:
		return Class{Pin: pinByDeclare(rest)}
	case kwListen:
		return Class{Pin: event.PinListen}
	case kwLoad:
		return Class{Pin: event.PinLoad}
	case kwPrepare:
		next, _ := rawWord(rest)
		if equalFold(next, "transaction") {
			return Class{MayEnd: true}
		}
		return Class{Pin: event.PinPreparedStatement}
	case kwProcedural:
		return Class{MayEnd: true, Procedural: true, Pin: pinByFunction(rest)}
	case kwEnd, kwUnknown:
	}
	return Class{MayEnd: true}
}

type kw uint8

const (
	kwUnknown    kw = iota // anything else, and no keyword at all
	kwPlain                // cannot end a transaction and leaves nothing behind
	kwEnd                  // COMMIT, END, ROLLBACK, ABORT
	kwSelect               // SELECT
	kwInsert               // INSERT
	kwUpdate               // UPDATE
	kwDelete               // DELETE
	kwWith                 // WITH
	kwSet                  // SET
	kwCreate               // CREATE
	kwDeclare              // DECLARE
	kwListen               // LISTEN
	kwLoad                 // LOAD
	kwPrepare              // PREPARE
	kwProcedural           // CALL, DO
)

// keywords holds what is recognised. Everything absent may end a transaction. Constant table.
var keywords = [...]struct {
	word string
	kw   kw
}{
	{"select", kwSelect}, {"insert", kwInsert}, {"update", kwUpdate}, {"delete", kwDelete}, {"with", kwWith},
	{"begin", kwPlain}, {"start", kwPlain}, {"commit", kwEnd}, {"end", kwEnd}, {"rollback", kwEnd}, {"abort", kwEnd},
	{"set", kwSet}, {"reset", kwPlain}, {"show", kwPlain}, {"values", kwPlain}, {"table", kwPlain}, {"merge", kwPlain},
	{"savepoint", kwPlain}, {"release", kwPlain}, {"lock", kwPlain}, {"copy", kwPlain}, {"fetch", kwPlain},
	{"move", kwPlain}, {"close", kwPlain}, {"execute", kwPlain}, {"explain", kwPlain}, {"notify", kwPlain},
	{"unlisten", kwPlain}, {"deallocate", kwPlain}, {"discard", kwPlain}, {"truncate", kwPlain}, {"analyze", kwPlain},
	{"alter", kwPlain}, {"drop", kwPlain}, {"grant", kwPlain}, {"revoke", kwPlain}, {"comment", kwPlain},
	{"create", kwCreate}, {"declare", kwDeclare}, {"listen", kwListen}, {"load", kwLoad}, {"prepare", kwPrepare},
	{"call", kwProcedural}, {"do", kwProcedural},
}

// keyword finds the first keyword of a statement and what stands behind it.
func keyword(sql []byte) (kw, []byte) {
	word, rest := rawWord(sql)
	for i := range keywords {
		if equalFold(word, keywords[i].word) {
			return keywords[i].kw, rest
		}
	}
	return kwUnknown, rest
}

// pinBySet reads what stands behind SET.
func pinBySet(rest []byte) event.PinReason {
	word, rest := rawWord(rest)
	if equalFold(word, "session") {
		word, rest = rawWord(rest)
	}
	switch {
	case equalFold(word, "local"), equalFold(word, "transaction"), equalFold(word, "constraints"):
		return event.PinNone
	case equalFold(word, "role"), equalFold(word, "authorization"):
		return event.PinRole
	case equalFold(word, "time"), equalFold(word, "names"): // SET TIME ZONE, SET NAMES: reported
		return event.PinNone
	case index(string(word)) >= 0: // the conversion does not escape: no allocation
		return event.PinNone
	}
	_ = rest
	return event.PinSetting
}

// pinByCreate reads what stands behind CREATE.
func pinByCreate(rest []byte) event.PinReason {
	for range 4 { // CREATE OR REPLACE LOCAL TEMP …
		var word []byte
		word, rest = rawWord(rest)
		if equalFold(word, "temp") || equalFold(word, "temporary") {
			return event.PinTempTable
		}
	}
	return event.PinNone
}

// pinByDeclare reads what stands behind DECLARE: only a cursor WITH HOLD outlives its transaction.
func pinByDeclare(rest []byte) event.PinReason {
	for range 12 {
		var word []byte
		word, rest = rawWord(rest)
		switch {
		case len(word) == 0, equalFold(word, "for"):
			return event.PinNone
		case equalFold(word, "hold"):
			return event.PinCursor
		}
	}
	return event.PinNone
}

// Functions whose effect outlives the transaction; they are looked for in lower case, as everybody writes them. Constants.
var (
	advisoryName  = []byte("advisory_lock")
	setConfigName = []byte("set_config")
)

// pinByFunction looks for the two families of functions that leave something on a server. It is best effort: what hides
// inside other functions no lexer sees.
func pinByFunction(rest []byte) event.PinReason {
	if bytes.Contains(rest, advisoryName) {
		return event.PinAdvisoryLock
	}
	if bytes.Contains(rest, setConfigName) {
		return event.PinSetting
	}
	return event.PinNone
}
