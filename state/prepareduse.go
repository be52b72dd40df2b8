package state

// PreparedUse is a prepared statement that a text names: by EXECUTE, DEALLOCATE or PREPARE.
type PreparedUse struct {
	Name  string
	Drops bool // the text is DEALLOCATE of this one, and nothing more
}

// PreparedUses returns the prepared statements that a text names, as far as its words tell: not what code or strings hide. It does not
// allocate when there are none.
func PreparedUses(sql []byte) []PreparedUse {
	if !NamesPrepared(sql) {
		return nil
	}
	l := lexer{how: readStandard}
	r := useReader{}
	for len(sql) > 0 {
		n, t := l.next(sql)
		sql = sql[n:]
		r.take(t)
	}
	for t := l.end(); t.kind != tokenNone; t = l.end() {
		r.take(t)
	}
	if len(r.uses) == 1 {
		r.uses[0].Drops = r.first && r.behind == 0
	}
	return r.uses
}

// MayDropPrepared reports whether a text may drop all prepared statements of its session.
func MayDropPrepared(sql []byte) bool {
	return mentions(sql, "allo", 'c', "ate") || mentions(sql, "dis", 'c', "ard")
}

// useReader reads the names behind the words that a prepared statement is named by.
type useReader struct {
	uses   []PreparedUse
	count  int  // tokens
	naming bool // a name follows
	first  bool // the text begins with DEALLOCATE
	behind int  // tokens behind the last name but a semicolon
}

func (r *useReader) take(t token) {
	if t.kind == tokenNone {
		return
	}
	r.count++
	switch {
	case t.is("prepare") && r.naming: // DEALLOCATE PREPARE
	case t.is("execute"), t.is("deallocate"), t.is("prepare"):
		r.naming = true
		r.first = r.first || r.count == 1 && t.is("deallocate")
		return
	case r.naming && t.isName() && !t.is("all") && !t.is("transaction"):
		r.uses = append(r.uses, PreparedUse{Name: identifier(t)})
		r.behind = 0
		r.naming = false
		return
	case !t.sign(';'):
		r.behind++
	}
	r.naming = r.naming && t.is("prepare")
}
