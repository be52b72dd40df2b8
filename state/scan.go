package state

import "bytes"

// reading says where a backslash takes away the meaning of the quote behind it. The lexer does not know what the session
// has set, so that a text in which it matters is judged by every reading, and the worst counts.
type reading uint8

const (
	readStandard reading = iota // in E” strings: standard_conforming_strings is on
	readEscapes                 // in every string: it is off
	readPlain                   // nowhere: it is the second half of a character, as in SJIS, BIG5 and GBK
)

// hiddenQuote is what the readings disagree about. Constant.
var hiddenQuote = []byte(`\'`)

type tokenKind uint8

const (
	tokenNone   tokenKind = iota // the end of the text
	tokenWord                    // a keyword or an identifier
	tokenQuoted                  // an identifier in quotes
	tokenCoded                   // an identifier in U&"", of which any character may be written as a number
	tokenString                  // a string of any kind; its text is what stands in the quotes, as it was written
	tokenSign                    // any other byte, or a number
)

// token is one piece of a text. White space and comments are none.
type token struct {
	kind tokenKind
	text []byte
}

// is reports whether a token is a keyword or an identifier without quotes. The name is in lower case.
func (t token) is(lower string) bool { return t.kind == tokenWord && equalFold(t.text, lower) }

// names reports whether a token is an identifier, in quotes or not.
func (t token) names(lower string) bool { return t.isName() && equalFold(t.text, lower) }

func (t token) isName() bool { return t.kind == tokenWord || t.kind == tokenQuoted }

func (t token) sign(c byte) bool { return t.kind == tokenSign && t.text[0] == c }

// scanner cuts a text into tokens, as PostgreSQL's own scanner does. Copies of it read on their own. What is not finished,
// a string or a comment, goes on to the end of the text.
type scanner struct {
	rest []byte
	how  reading
}

// next returns the next token; behind the last one it returns tokenNone for ever.
func (s *scanner) next() token {
	s.rest = skipBlank(s.rest)
	if len(s.rest) == 0 {
		return token{}
	}
	switch c := s.rest[0]; {
	case beginsWord(c):
		return s.word()
	case c == '\'':
		return s.quoted(tokenString, quotedEnd(s.rest, s.how == readEscapes))
	case c == '"':
		return s.quoted(tokenQuoted, quotedEnd(s.rest, false))
	case c == '$':
		return s.dollar()
	}
	n := 1
	for isDigit(s.rest[0]) && n < len(s.rest) && isDigit(s.rest[n]) {
		n++
	}
	return token{tokenSign, s.cut(n)}
}

// statement returns the text up to the next semicolon that ends a statement. BEGIN ATOMIC bodies and the parentheses of
// CREATE RULE are not known, so that they read as several statements, which errs on the safe side.
func (s *scanner) statement() []byte {
	whole := s.rest
	for {
		switch t := s.next(); {
		case t.kind == tokenNone:
			return whole
		case t.sign(';'):
			return whole[:len(whole)-len(s.rest)-1]
		}
	}
}

// at reports whether the next token is this sign.
func (s *scanner) at(sign byte) bool {
	s.rest = skipBlank(s.rest)
	return len(s.rest) > 0 && s.rest[0] == sign
}

func (s *scanner) cut(n int) []byte {
	text := s.rest[:n]
	s.rest = s.rest[n:]
	return text
}

// word cuts a word, or what a word of one letter opens: an E” string, a U&"" identifier. The other kinds of strings read
// like a word and a plain string.
func (s *scanner) word() token {
	n := 1
	for n < len(s.rest) && isWord(s.rest[n]) {
		n++
	}
	if n == 1 && len(s.rest) > 1 {
		switch c := s.rest[0] | 0x20; {
		case c == 'e' && s.rest[1] == '\'':
			s.cut(1)
			return s.escapeString()
		case c == 'u' && bytes.HasPrefix(s.rest[1:], codedQuote):
			s.cut(2)
			return s.quoted(tokenCoded, quotedEnd(s.rest, false))
		}
	}
	return token{tokenWord, s.cut(n)}
}

// escapeString cuts an E” string together with the pieces that continue it on further lines: they too have its backslashes.
// PostgreSQL wants a line break in between; without one the text is wrong, and it does not matter how it is read.
func (s *scanner) escapeString() token {
	n := 0
	for piece := s.rest; len(piece) > 0 && piece[0] == '\''; piece = skipBlank(s.rest[n:]) {
		n = len(s.rest) - len(piece) + quotedEnd(piece, s.how != readPlain)
	}
	return s.quoted(tokenString, n)
}

// quoted cuts n bytes and takes the quotes off.
func (s *scanner) quoted(kind tokenKind, n int) token {
	text := s.cut(n)
	inside := text[1:]
	if last := len(inside) - 1; last >= 0 && inside[last] == text[0] {
		inside = inside[:last]
	}
	return token{kind, inside}
}

// dollar cuts a dollar-quoted string, or the sign alone when it opens none.
func (s *scanner) dollar() token {
	n := 1
	for n < len(s.rest) && isWord(s.rest[n]) && s.rest[n] != '$' {
		n++
	}
	if n == len(s.rest) || s.rest[n] != '$' || isDigit(s.rest[1]) {
		return token{tokenSign, s.cut(1)}
	}
	tag := s.cut(n + 1)
	end := bytes.Index(s.rest, tag)
	if end < 0 {
		return token{tokenString, s.cut(len(s.rest))}
	}
	inside := s.cut(end)
	s.cut(len(tag))
	return token{tokenString, inside}
}

func beginsWord(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

// isWord reports whether a byte may stand in a word behind its first.
func isWord(c byte) bool { return beginsWord(c) || isDigit(c) || c == '$' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isSpace(c byte) bool {
	return c == ' ' || c >= '\t' && c <= '\r'
}

// equalFold compares a word with a lower-case ASCII name.
func equalFold(word []byte, lower string) bool {
	return len(word) == len(lower) && beginsFold(word, lower)
}

// beginsFold reports whether a text begins with a lower-case ASCII name.
func beginsFold(text []byte, lower string) bool {
	if len(text) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// endsFold reports whether a text ends with a lower-case ASCII name.
func endsFold(text []byte, lower string) bool {
	return len(text) >= len(lower) && beginsFold(text[len(text)-len(lower):], lower)
}

// skipBlank skips white space and comments; an unfinished comment swallows everything.
func skipBlank(sql []byte) []byte {
	for len(sql) > 0 {
		switch {
		case isSpace(sql[0]) || sql[0] == 0:
			sql = sql[1:]
		case bytes.HasPrefix(sql, lineComment):
			sql = sql[lineCommentEnd(sql):]
		case bytes.HasPrefix(sql, blockComment):
			sql = sql[blockCommentEnd(sql):]
		default:
			return sql
		}
	}
	return sql
}

// The openings of the two kinds of comment, and of an identifier behind its U. Constants.
var (
	lineComment  = []byte("--")
	blockComment = []byte("/*")
	codedQuote   = []byte(`&"`)
)

func lineCommentEnd(sql []byte) int {
	if i := bytes.IndexAny(sql, "\r\n"); i >= 0 {
		return i
	}
	return len(sql)
}

// blockCommentEnd finds the end of a comment; PostgreSQL nests them.
func blockCommentEnd(sql []byte) int {
	depth := 0
	for i := 0; i+1 < len(sql); i++ {
		switch {
		case sql[i] == '/' && sql[i+1] == '*':
			depth++
			i++
		case sql[i] == '*' && sql[i+1] == '/':
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(sql)
}

// onlySpace reports whether nothing but white space, semicolons and final NULs follow.
func onlySpace(sql []byte) bool {
	for _, c := range sql {
		if !isSpace(c) && c != 0 && c != ';' {
			return false
		}
	}
	return true
}

// quotedEnd returns the length of a quoted piece that begins sql. A doubled quote does not end it.
func quotedEnd(sql []byte, escapes bool) int {
	for i := 1; i < len(sql); i++ {
		switch {
		case escapes && sql[i] == '\\':
			i++
		case sql[i] != sql[0]:
		case i+1 < len(sql) && sql[i+1] == sql[0]:
			i++
		default:
			return i + 1
		}
	}
	return len(sql)
}
