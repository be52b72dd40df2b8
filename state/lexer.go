package state

import "bytes"

// reading says where a backslash takes away the meaning of the quote behind it. The lexer does not know what the session
// has set, so that a text in which it matters is judged by every reading, and the worst counts.
type reading uint8

const (
	readUndecided reading = iota // there was no quote yet about which the others disagree
	readStandard                 // in E'' strings: standard_conforming_strings is on
	readEscapes                  // in every string: it is off
	readPlain                    // nowhere: it is the second half of a character, as in SJIS, BIG5 and GBK
)

type tokenKind uint8

const (
	tokenNone    tokenKind = iota // nothing is whole
	tokenWord                     // a keyword or an identifier
	tokenQuoted                   // an identifier in quotes
	tokenObscure                  // what cannot be read: an identifier in U&"", a string whose tag is too long to be kept
	tokenString                   // a string of any kind begins
	tokenInside                   // a piece of what stands in it, as it was written; only when that is wanted
	tokenEnd                      // the end of a string; only when its inside is wanted
	tokenSign                     // any other byte; of a number the first
	tokenParting                  // no token: the readings disagree about the quote that comes next
)

// token is one piece of a text. White space and comments are none. Its text may be the lexer's own, valid until it reads on.
type token struct {
	kind tokenKind
	char byte
	text []byte
}

// is reports whether a token is a keyword or an identifier without quotes. The name is in lower case.
func (t token) is(lower string) bool { return t.kind == tokenWord && equalFold(t.text, lower) }

// names reports whether a token is an identifier, in quotes or not.
func (t token) names(lower string) bool { return t.isName() && equalFold(t.text, lower) }

func (t token) isName() bool { return t.kind == tokenWord || t.kind == tokenQuoted }

func (t token) sign(c byte) bool { return t.kind == tokenSign && t.char == c }

// place is where in a text a lexer is.
type place uint8

const (
	between  place = iota // two tokens
	inWord                // its beginning is kept
	inNumber              // which was returned
	inCoded               // behind U&, which a quote makes the beginning of an identifier
	inDollar              // behind a dollar sign and what may be its tag, both kept
	inBody                // of a dollar-quoted string, whose tag is kept
	inQuotes
	atQuote // behind a quote in quotes, which ends them unless another follows
	atDash
	atSlash
	inLine  // of a comment
	inBlock // of comments
)

// nameLimit is the length in bytes of the longest identifier; PostgreSQL cuts longer ones off.
const nameLimit = 63

// lexer cuts a text that comes in pieces into tokens, as PostgreSQL's own scanner does. Wherever the pieces end the tokens are
// the same. Copies of it read on their own. The zero value is at the beginning of a text.
type lexer struct {
	how     reading
	inside  bool // what stands in strings is wanted
	in      place
	quoted  tokenKind // what the quotes enclose
	escapes bool      // the string has E in front
	goesOn  bool      // a string with E in front has ended, and nothing but blanks stands behind it: another continues it
	odd     bool      // right before, in the string, stands an odd number of backslashes
	half    byte      // the byte before, in a block of comments; 0 when it belongs to a pair
	length  uint8     // how much is kept
	matched uint8     // how much of the tag stands right before
	depth   uint32    // of comments in comments
	kept    [nameLimit + 1]byte
}

// next reads on to the end of a token, and returns how many bytes it has used. Without a token these are all.
func (l *lexer) next(b []byte) (int, token) {
	at := 0
	for at < len(b) {
		n, t := l.step(b[at:])
		at += n
		if t.kind != tokenNone {
			return at, t
		}
	}
	return at, token{}
}

func (l *lexer) step(b []byte) (int, token) {
	switch l.in {
	case inWord:
		return l.word(b)
	case inNumber:
		return l.number(b), token{}
	case inCoded:
		return l.coded(b)
	case inDollar:
		return l.dollar(b)
	case inBody:
		return l.body(b)
	case inQuotes:
		return l.quotes(b)
	case atQuote:
		return l.behindQuote(b)
	case atDash:
		return l.comment(b, '-', inLine)
	case atSlash:
		return l.comment(b, '*', inBlock)
	case inLine:
		return l.line(b), token{}
	case inBlock:
		return l.block(b), token{}
	default:
		return l.begin(b)
	}
}

// end returns, token by token, what is whole because nothing follows, and then tokenNone. What is not finished, a string or a
// comment, ends here too.
func (l *lexer) end() token {
	in := l.in
	l.in = between
	switch in {
	case inWord:
		return token{kind: tokenWord, text: l.name()}
	case inCoded:
		return token{kind: tokenWord, text: letterU}
	case inDollar:
		return l.noTag()
	case inBody, inQuotes, atQuote:
		return l.closeQuotes()
	case atDash:
		return token{kind: tokenSign, char: '-'}
	case atSlash:
		return token{kind: tokenSign, char: '/'}
	case between, inNumber, inLine, inBlock:
	}
	return token{}
}

// begin reads the first byte of a token, or blanks.
func (l *lexer) begin(b []byte) (int, token) {
	c := b[0]
	if isBlank(c) {
		n := 1
		for n < len(b) && isBlank(b[n]) {
			n++
		}
		return n, token{}
	}
	continues := l.goesOn
	l.goesOn = l.goesOn && (c == '-' || c == '/') // it may be a comment
	switch c {
	case '(', ')', ',', '.', ';', '=':
		return 1, token{kind: tokenSign, char: c}
	case '\'':
		return 1, l.openQuotes(tokenString, continues)
	case '"':
		return 1, l.openQuotes(tokenQuoted, false)
	case '$':
		l.length, l.in = 0, inDollar
		l.keep(b[:1])
		return 1, token{}
	case '-':
		l.in = atDash
		return 1, token{}
	case '/':
		l.in = atSlash
		return 1, token{}
	}
	switch {
	case isDigit(c):
		l.in = inNumber
		return 1 + l.number(b[1:]), token{kind: tokenSign, char: c}
	case beginsWord(c):
		return l.firstWord(b)
	}
	return 1, token{kind: tokenSign, char: c}
}

// number skips the digits of a number, which was returned when it began.
func (l *lexer) number(b []byte) int {
	for n, c := range b {
		if !isDigit(c) {
			l.in = between
			return n
		}
	}
	return len(b)
}

// firstWord reads a word that most often is whole.
func (l *lexer) firstWord(b []byte) (int, token) {
	n := wordEnd(b)
	if n < len(b) {
		used, t := l.endWord(b[:n], b[n])
		return n + used, t
	}
	l.length, l.in = 0, inWord
	l.keep(b)
	return n, token{}
}

// keep remembers bytes for the time when their end is known. Of long names and tags the rest does not matter.
func (l *lexer) keep(b []byte) { l.length += uint8(copy(l.kept[l.length:], b)) }

// name returns the kept name.
func (l *lexer) name() []byte { return cutName(l.kept[:l.length]) }

func cutName(name []byte) []byte { return name[:min(len(name), nameLimit)] }

func (l *lexer) word(b []byte) (int, token) {
	n := wordEnd(b)
	l.keep(b[:n])
	if n == len(b) {
		return n, token{}
	}
	used, t := l.endWord(l.kept[:l.length], b[n])
	return n + used, t
}

// endWord ends a word. What some words of one letter open is none: an E” string, a U&"" identifier. The other kinds of strings
// read like a word and a plain string.
func (l *lexer) endWord(word []byte, behind byte) (used int, t token) {
	l.in = between
	if len(word) == 1 {
		switch c := word[0] | 0x20; {
		case c == 'e' && behind == '\'':
			return 1, l.openQuotes(tokenString, true)
		case c == 'u' && behind == '&':
			l.in = inCoded
			return 1, token{}
		}
	}
	return 0, token{kind: tokenWord, text: cutName(word)}
}

// letterU is the word that was none after all; the sign behind it does not matter. Constant.
var letterU = []byte("u")

func (l *lexer) coded(b []byte) (int, token) {
	l.in = between
	if b[0] == '"' {
		return 1, l.openQuotes(tokenObscure, false)
	}
	return 0, token{kind: tokenWord, text: letterU}
}

// comment reads what stands behind the first byte of what may open one.
func (l *lexer) comment(b []byte, second byte, opens place) (int, token) {
	if b[0] == second {
		l.in, l.depth, l.half = opens, 1, 0
		return 1, token{}
	}
	l.goesOn = false
	return 0, l.end()
}

// line reads on in a comment that ends with its line.
func (l *lexer) line(b []byte) int {
	n := bytes.IndexAny(b, "\r\n")
	if n < 0 {
		return len(b)
	}
	l.in = between
	return n
}

// block reads on in a comment; PostgreSQL nests them.
func (l *lexer) block(b []byte) int {
	for n, c := range b {
		switch {
		case l.half == '/' && c == '*':
			l.depth++
			l.half = 0
		case l.half == '*' && c == '/':
			l.depth--
			l.half = 0
			if l.depth == 0 {
				l.in = between
				return n + 1
			}
		default:
			l.half = c
		}
	}
	return len(b)
}

func beginsWord(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

// isWord reports whether a byte may stand in a word behind its first.
func isWord(c byte) bool { return beginsWord(c) || isDigit(c) || c == '$' }

// wordEnd returns how many bytes of a word b begins with.
func wordEnd(b []byte) int {
	for n, c := range b {
		if !isWord(c) {
			return n
		}
	}
	return len(b)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// isBlank reports whether a byte is white space, or the NUL at the end of a text.
func isBlank(c byte) bool { return isSpace(c) || c == 0 }

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

// onlySpace reports whether nothing but white space, semicolons and final NULs follow.
func onlySpace(sql []byte) bool {
	for _, c := range sql {
		if !isBlank(c) && c != ';' {
			return false
		}
	}
	return true
}
