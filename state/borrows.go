package state

// Borrows reports whether the rows of a text are those of something else that the session has, a cursor or a prepared statement: it begins
// with FETCH or EXECUTE. What they look like is known when it runs, and PostgreSQL does not hold them to what they looked like before.
func Borrows(sql []byte) bool {
	var l lexer
	_, t := l.next(sql)
	return t.is("fetch") || t.is("execute")
}
