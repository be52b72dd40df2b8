package state

import (
	"bytes"
	"slices"
)

// ReadOnly reports whether a query string changes nothing in a database, as far as its keywords tell: all of its statements
// are queries, or concern the session or its transaction alone. A query is none when INSERT or the like stands in it as a
// word without quotes, be it the name of a column.
//
// A function that a query calls may write all the same, and no lexer sees that. Where the difference decides what is sent a
// second time, the server has said that it is in hot standby. It refuses such a function; what remains is one that was
// promoted and has not yet had a ReadyForQuery to say so with.
func ReadOnly(sql []byte) bool {
	if !readOnly(sql, readStandard) {
		return false
	}
	return !bytes.Contains(sql, hiddenQuote) || readOnly(sql, readEscapes) && readOnly(sql, readPlain)
}

func readOnly(sql []byte, how reading) bool {
	for s := (scanner{sql, how}); len(s.rest) > 0; {
		if one := skipBlank(s.statement()); len(one) > 0 && writes(scanner{one, how}) {
			return false
		}
	}
	return true
}

// writes reports whether a statement may change a database.
func writes(s scanner) bool {
	switch keyword(s.next()) {
	case kwQuery:
		return mentions(s, writing[:])
	case kwExplain: // which runs what it explains only then
		return mentions(s, analyzing[:]) && mentions(s, writing[:])
	case kwEnd: // COMMIT PREPARED does what another session has begun
		return s.next().is("prepared")
	case kwSession, kwSet, kwDeclare, kwListen:
		return false
	case kwUnknown, kwPlain, kwCreate, kwLoad, kwPrepare, kwCall, kwDo:
	}
	return true
}

// writing are the words of what writes inside of a query or an EXPLAIN: WITH … INSERT, SELECT INTO, FOR UPDATE, EXPLAIN
// EXECUTE. Constant table.
var writing = [...]string{"insert", "update", "delete", "merge", "into", "create", "execute", "refresh"}

// analyzing are the spellings of ANALYZE. Constant table.
var analyzing = [...]string{"analyze", "analyse"}

func mentions(s scanner, words []string) bool {
	for t := s.next(); t.kind != tokenNone; t = s.next() {
		if t.kind == tokenWord && slices.ContainsFunc(words, t.is) {
			return true
		}
	}
	return false
}
