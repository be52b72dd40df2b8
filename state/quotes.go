package state

import "bytes"

// doubled is the quote that a string has in it twice. Constant.
var doubled = []byte("''")

func (l *lexer) openQuotes(kind tokenKind, escapes bool) token {
	l.in, l.quoted, l.escapes, l.odd, l.length = inQuotes, kind, escapes, false, 0
	if kind == tokenQuoted { // it is one when its name is known
		return token{}
	}
	return token{kind: kind}
}

// quotes reads on to the next quote.
func (l *lexer) quotes(b []byte) (int, token) {
	if l.quoted != tokenString {
		return l.identifier(b)
	}
	n := bytes.IndexByte(b, '\'')
	if n < 0 {
		l.countBackslashes(b)
		return len(b), l.piece(b)
	}
	l.countBackslashes(b[:n])
	if l.odd {
		if l.how == readUndecided {
			return n, token{kind: tokenParting}
		}
		if l.how == readEscapes || l.how == readStandard && l.escapes {
			l.odd = false
			return n + 1, l.piece(b[:n+1])
		}
	}
	l.in, l.odd = atQuote, false
	if !l.inside && n+1 < len(b) { // the shorter way for what is whole
		used, t := l.behindQuote(b[n+1:])
		return n + 1 + used, t
	}
	return n + 1, l.piece(b[:n])
}

// countBackslashes notes whether a quote behind b would stand behind an odd number of them.
func (l *lexer) countBackslashes(b []byte) {
	n := len(b)
	for n > 0 && b[n-1] == '\\' {
		n--
	}
	odd := (len(b)-n)%2 == 1
	if n == 0 {
		odd = odd != l.odd
	}
	l.odd = odd
}

func (l *lexer) identifier(b []byte) (int, token) {
	n := bytes.IndexByte(b, '"')
	if n < 0 {
		l.keep(b)
		return len(b), token{}
	}
	l.keep(b[:n])
	l.in = atQuote
	return n + 1, token{}
}

// behindQuote tells a doubled quote from the end.
func (l *lexer) behindQuote(b []byte) (int, token) {
	switch {
	case l.quoted == tokenString && b[0] == '\'':
		l.in = inQuotes
		return 1, l.piece(doubled)
	case l.quoted != tokenString && b[0] == '"':
		l.in = inQuotes
		l.keep(b[:1])
		return 1, token{}
	}
	return 0, l.closeQuotes()
}

func (l *lexer) closeQuotes() token {
	l.in = between
	if l.quoted == tokenQuoted {
		return token{kind: tokenQuoted, text: l.name()}
	}
	l.goesOn = l.quoted == tokenString && l.escapes
	if l.inside && l.quoted == tokenString {
		return token{kind: tokenEnd}
	}
	return token{}
}

// piece returns what stands in a string, if it is wanted.
func (l *lexer) piece(b []byte) token {
	if !l.inside || len(b) == 0 {
		return token{}
	}
	return token{kind: tokenInside, text: b}
}

// dollar reads on in what may be the tag of a dollar-quoted string.
func (l *lexer) dollar(b []byte) (int, token) {
	n := 0
	for n < len(b) && isWord(b[n]) && b[n] != '$' && (n > 0 || l.length > 1 || !isDigit(b[0])) {
		n++
	}
	l.keep(b[:n])
	switch {
	case n == len(b):
		return n, token{}
	case b[n] != '$':
		return n, l.noTag()
	}
	l.in, l.quoted, l.escapes, l.matched = inBody, tokenString, false, 0
	if int(l.length) == len(l.kept) {
		return n + 1, token{kind: tokenObscure, char: '$'}
	}
	return n + 1, token{kind: tokenString}
}

// noTag returns the dollar sign. What stands behind it is a word, if it is anything.
func (l *lexer) noTag() token {
	l.in = between
	if l.length > 1 {
		l.in = inWord
		l.length = uint8(copy(l.kept[:], l.kept[1:l.length]))
	}
	return token{kind: tokenSign, char: '$'}
}

// body reads on to the next dollar sign, and behind it as long as it may be the tag. Only the first and the last byte of a tag
// are dollar signs, so that behind a false one it begins anew.
func (l *lexer) body(b []byte) (int, token) {
	if l.matched == 0 {
		n := bytes.IndexByte(b, '$')
		switch {
		case n < 0:
			return len(b), l.piece(b)
		case n > 0:
			return n, l.piece(b[:n])
		}
		l.matched = 1
		return 1, token{}
	}
	want := byte('$')
	if l.matched < l.length {
		want = l.kept[l.matched]
	}
	if b[0] != want {
		begun := l.kept[:l.matched]
		l.matched = 0
		return 0, l.piece(begun)
	}
	l.matched++
	if l.matched > l.length {
		return 1, l.closeQuotes()
	}
	return 1, token{}
}
