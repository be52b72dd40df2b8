package state

import "github.com/pgrouter/pgrouter/event"

// Class is what the router must know of a query string before it forwards it. It is a conservative reading of keywords and
// names, not a parse. In doubt a text may end a transaction, and in doubt it pins: the first costs a client an uncertain
// answer after a loss, the second a server connection of its own. The reverse would cost it what it relies on.
type Class struct {
	// MayEnd: the text may end (commit or roll back) a transaction block, so that its loss leaves the outcome unknown.
	MayEnd bool
	// Multi: the text holds more than one statement.
	Multi bool
	// Touches: the text may change settings for the rest of the session, see ReadTouched.
	Touches bool
	// Sets: the text calls set_config, be it for its transaction alone, see Shifts.
	Sets bool
	// Pin: what the text leaves on the server that cannot be moved, PinNone when nothing is known.
	Pin event.PinReason
	// Later: what a statement that the text prepares leaves there each time that it is executed.
	Later event.PinReason
	// Frees: the text gives advisory locks back, or may have failed to take them: what pinned for one may not hold behind it.
	Frees bool
}

// Classify reads a query string, in time linear to its length and without allocating.
func Classify(sql []byte) Class { return GlanceAt(sql).Classify(sql) }

// Classify reads the text of which this is the glance.
func (g Glance) Classify(sql []byte) Class {
	if !g.suspect && single(sql, g.semicolon) {
		if c, ok := classifyFirst(firstKeyword(sql)); ok {
			return c
		}
	}
	var s Stream
	s.Read(sql)
	return s.End()
}

// single reports whether a text certainly is one statement at most, by where its first semicolon stands; -1: nowhere.
func single(sql []byte, semicolon int) bool {
	return semicolon < 0 || semicolon >= len(sql) || onlySpace(sql[semicolon+1:])
}

// classifyFirst says what most statements are: their first keyword says all. ok is false where it does not.
func classifyFirst(first kw) (c Class, ok bool) {
	switch first {
	case kwQuery, kwWith, kwSession, kwPlain:
		return Class{}, true
	case kwEnd, kwCall, kwUnknown:
		return Class{MayEnd: true}, true
	default:
		return Class{}, false
	}
}

// firstKeyword returns the keyword that a text begins with.
func firstKeyword(sql []byte) kw {
	if n := wordEnd(sql); n > 1 { // of one letter may be a string's
		return keywordOf(sql[:n])
	}
	var l lexer
	_, t := l.next(sql)
	if t.kind == tokenNone {
		t = l.end()
	}
	return keyword(t)
}

// worst joins two judgements; the first reason to pin is kept.
func worst(a, b Class) Class {
	a.MayEnd = a.MayEnd || b.MayEnd
	a.Multi = a.Multi || b.Multi
	a.Frees = a.Frees || b.Frees
	a.Touches = a.Touches || b.Touches
	a.Sets = a.Sets || b.Sets
	a.Pin = firstPin(a.Pin, b.Pin)
	a.Later = firstPin(a.Later, b.Later)
	return a
}

// firstPin is the reason that counts of two: the first one, but one that lasts as long as the server comes before those of which a server
// can tell whether they hold. These are asked for all together at the end of a unit of work; of the others nothing is known but this.
func firstPin(a, b event.PinReason) event.PinReason {
	if a == event.PinNone || lasts(b) && !lasts(a) {
		return b
	}
	return a
}

// lasts reports whether a reason holds as long as the server does. PinSequence may be found to be none.
func lasts(why event.PinReason) bool {
	return why == event.PinSetting || why == event.PinRole || why == event.PinLoad || why == event.PinUncertain
}

type kw uint8

const (
	kwUnknown kw = iota // anything else, and no keyword at all
	kwQuery             // SELECT, VALUES, TABLE
	kwWith              // WITH
	kwSession           // concerns the session or its transaction alone, and leaves nothing behind
	kwPlain             // cannot end a transaction and leaves nothing behind by itself
	kwEnd               // COMMIT, END, ROLLBACK, ABORT
	kwSet               // SET
	kwReset             // RESET
	kwDiscard           // DISCARD
	kwCreate            // CREATE
	kwDeclare           // DECLARE
	kwListen            // LISTEN
	kwLoad              // LOAD
	kwPrepare           // PREPARE
	kwExplain           // EXPLAIN
	kwCall              // CALL
	kwDo                // DO
)

// keyword says what a statement that begins with this token is.
func keyword(first token) kw {
	if first.kind != tokenWord {
		return kwUnknown
	}
	return keywordOf(first.text)
}

// longestKeyword is the length in bytes of the longest word that keywordOf knows.
const longestKeyword = len("deallocate")

// keywordOf says what a statement that begins with this word is. Every other may end a transaction.
func keywordOf(word []byte) kw {
	var small [longestKeyword]byte
	if len(word) > len(small) {
		return kwUnknown
	}
	for i, c := range word {
		small[i] = c | 0x20 // which makes letters of letters alone
	}
	switch string(small[:len(word)]) {
	case "select", "values", "table":
		return kwQuery
	case "with":
		return kwWith
	case "begin", "start", "show", "savepoint", "release", "fetch", "move", "close", "unlisten", "deallocate":
		return kwSession
	case "insert", "update", "delete", "merge", "lock", "copy", "execute", "notify", "truncate", "analyze", "alter", "drop", "grant", "revoke", "comment":
		return kwPlain
	case "commit", "end", "rollback", "abort":
		return kwEnd
	case "set":
		return kwSet
	case "reset":
		return kwReset
	case "discard":
		return kwDiscard
	case "create":
		return kwCreate
	case "declare":
		return kwDeclare
	case "listen":
		return kwListen
	case "load":
		return kwLoad
	case "prepare":
		return kwPrepare
	case "explain":
		return kwExplain
	case "call":
		return kwCall
	case "do":
		return kwDo
	}
	return kwUnknown
}
