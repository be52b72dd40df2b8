package state

import "bytes"

// ReadOnly reports whether a query string changes nothing in a database, as far as its keywords tell: all of its statements
// are queries, or concern the session or its transaction alone. SELECT INTO and FOR UPDATE are no queries, nor is a WITH in which
// INSERT or the like stands as a word without quotes, be it the name of a column.
//
// A function that a query calls may write all the same, and no lexer sees that. Where the difference decides what is sent a
// second time, the server has said that it is in hot standby. It refuses such a function; what remains is one that was
// promoted and has not yet had a ReadyForQuery to say so with.
func ReadOnly(sql []byte) bool {
	first := firstKeyword(sql)
	switch {
	case !single(sql, bytes.IndexByte(sql, ';')):
	case first == kwSession, first == kwReset, first == kwDiscard, first == kwQuery && !mentions(sql, "in", 't', "o") && !mentions(sql, "u", 'p', "date"):
		return true
	case first == kwPlain:
		return false
	}
	var s Stream
	s.Read(sql)
	s.End()
	return s.ReadOnly()
}

// mayWrite reports whether a statement that begins with this keyword may change a database, whatever follows.
func mayWrite(first kw) bool {
	switch first {
	case kwQuery, kwWith, kwSession, kwEnd, kwExplain, kwSet, kwReset, kwDiscard, kwDeclare, kwListen:
		return false
	case kwUnknown, kwPlain, kwCreate, kwLoad, kwPrepare, kwCall, kwDo:
	}
	return true
}

// isWriting knows the words of what writes inside of a WITH or an EXPLAIN. A SELECT cannot have all of them: PostgreSQL wants a
// WITH that writes in front.
func isWriting(t token) bool {
	switch len(t.text) {
	case 4:
		return t.is("into")
	case 5:
		return t.is("merge")
	case 6:
		return t.is("insert") || t.is("update") || t.is("delete") || t.is("create")
	case 7:
		return t.is("execute") || t.is("refresh")
	}
	return false
}
