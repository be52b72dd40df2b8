package state

import (
	"bytes"

	"github.com/pgrouter/pgrouter/event"
)

// Class is what the router must know of a query string before it forwards it. It is a conservative reading of keywords and
// names, not a parse. In doubt a text may end a transaction, and in doubt it pins: the first costs a client an uncertain
// answer after a loss, the second a server connection of its own. The reverse would cost it what it relies on.
type Class struct {
	// MayEnd: the text may end (commit or roll back) a transaction block, so that its loss leaves the outcome unknown.
	MayEnd bool
	// Multi: the text holds more than one statement.
	Multi bool
	// Pin: what the text leaves on the server that cannot be moved, PinNone when nothing is known.
	Pin event.PinReason
}

// Classify reads a query string, in time linear to its length and without allocating. complete is false when sql is only the
// beginning of a longer text: the rest may then end a transaction, but it is not held to pin. Otherwise each long INSERT
// would take a server connection for good.
func Classify(sql []byte, complete bool) Class {
	c := classify(sql, readStandard)
	if bytes.Contains(sql, hiddenQuote) {
		c = worst(c, worst(classify(sql, readEscapes), classify(sql, readPlain)))
	}
	if !complete {
		c.MayEnd, c.Multi = true, true
	}
	return c
}

// worst joins two judgements; the first reason to pin is kept.
func worst(a, b Class) Class {
	a.MayEnd = a.MayEnd || b.MayEnd
	a.Multi = a.Multi || b.Multi
	if a.Pin == event.PinNone {
		a.Pin = b.Pin
	}
	return a
}

func classify(sql []byte, how reading) Class {
	if semi := bytes.IndexByte(sql, ';'); semi >= 0 && !onlySpace(sql[semi+1:]) {
		return classifyMany(sql, how)
	}
	return classifyOne(sql, how)
}

// classifyMany reads a text with several statements, or with semicolons in quotes.
func classifyMany(sql []byte, how reading) Class {
	var all Class
	count := 0
	for s := (scanner{sql, how}); len(s.rest) > 0; {
		if one := skipBlank(s.statement()); len(one) > 0 {
			all = worst(all, classifyOne(one, how))
			count++
		}
	}
	all.MayEnd = all.MayEnd || count == 0
	all.Multi = count > 1
	return all
}

// classifyOne reads one statement.
func classifyOne(sql []byte, how reading) Class {
	s := scanner{sql, how}
	first := keyword(s.next())
	c := Class{Pin: pinByKeyword(first, s)}
	switch first {
	case kwEnd, kwCall, kwUnknown:
		c.MayEnd = true
	case kwDo:
		c.MayEnd, c.Pin = true, pinByBody(s)
	case kwPrepare:
		c.MayEnd = preparesTransaction(s)
	case kwExplain:
		c.Pin = pinByExplain(s)
	case kwQuery, kwSession, kwPlain, kwSet, kwCreate, kwDeclare, kwListen, kwLoad:
	}
	if c.Pin == event.PinNone && suspect(sql) {
		c.Pin = pinByName(scanner{sql, how})
	}
	return c
}

type kw uint8

const (
	kwUnknown kw = iota // anything else, and no keyword at all
	kwQuery             // SELECT and what begins like it
	kwSession           // concerns the session or its transaction alone, and leaves nothing behind
	kwPlain             // cannot end a transaction and leaves nothing behind by itself
	kwEnd               // COMMIT, END, ROLLBACK, ABORT
	kwSet               // SET
	kwCreate            // CREATE
	kwDeclare           // DECLARE
	kwListen            // LISTEN
	kwLoad              // LOAD
	kwPrepare           // PREPARE
	kwExplain           // EXPLAIN
	kwCall              // CALL
	kwDo                // DO
)

// keywords holds what is recognised. Everything absent may end a transaction. Constant table.
var keywords = [...]struct {
	word string
	kw   kw
}{
	{"select", kwQuery}, {"insert", kwPlain}, {"update", kwPlain}, {"delete", kwPlain}, {"with", kwQuery},
	{"begin", kwSession}, {"start", kwSession}, {"commit", kwEnd}, {"end", kwEnd}, {"rollback", kwEnd}, {"abort", kwEnd},
	{"set", kwSet}, {"reset", kwSession}, {"show", kwSession}, {"values", kwQuery}, {"table", kwQuery}, {"merge", kwPlain},
	{"savepoint", kwSession}, {"release", kwSession}, {"lock", kwPlain}, {"copy", kwPlain}, {"fetch", kwSession},
	{"move", kwSession}, {"close", kwSession}, {"execute", kwPlain}, {"explain", kwExplain}, {"notify", kwPlain},
	{"unlisten", kwSession}, {"deallocate", kwSession}, {"discard", kwSession}, {"truncate", kwPlain}, {"analyze", kwPlain},
	{"alter", kwPlain}, {"drop", kwPlain}, {"grant", kwPlain}, {"revoke", kwPlain}, {"comment", kwPlain},
	{"create", kwCreate}, {"declare", kwDeclare}, {"listen", kwListen}, {"load", kwLoad}, {"prepare", kwPrepare},
	{"call", kwCall}, {"do", kwDo},
}

// keyword says what a statement that begins with this token is.
func keyword(first token) kw {
	if first.kind != tokenWord {
		return kwUnknown
	}
	for i := range keywords {
		if equalFold(first.text, keywords[i].word) {
			return keywords[i].kw
		}
	}
	return kwUnknown
}
