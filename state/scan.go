package state

import "bytes"

// rawWord skips blanks and comments and returns the identifier or keyword that follows, and the rest. The word is empty when
// something else follows.
func rawWord(sql []byte) (word, rest []byte) {
	sql = skipBlank(sql)
	i := 0
	for i < len(sql) && isWord(sql[i]) {
		i++
	}
	return sql[:i], sql[i:]
}

func isWord(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_' || c >= 0x80
}

func isSpace(c byte) bool {
	return c == ' ' || c >= '\t' && c <= '\r'
}

// equalFold compares a word with a lower-case ASCII name.
func equalFold(word []byte, lower string) bool {
	if len(word) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := word[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
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

// The openings of the two kinds of comment. Constants.
var (
	lineComment  = []byte("--")
	blockComment = []byte("/*")
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

// statementEnd returns the place of the semicolon that ends the first statement, or the length of the text. Quotes of all
// kinds and comments are skipped; BEGIN ATOMIC bodies are not known, so that they read as several statements, which errs on
// the safe side.
func statementEnd(sql []byte) int {
	for i := 0; i < len(sql); {
		switch c := sql[i]; {
		case c == ';':
			return i
		case c == '\'':
			i += quotedEnd(sql[i:], '\'', escaped(sql, i))
		case c == '"':
			i += quotedEnd(sql[i:], '"', false)
		case c == '$':
			i += dollarEnd(sql, i)
		case c == '-' && bytes.HasPrefix(sql[i:], lineComment):
			i += lineCommentEnd(sql[i:])
		case c == '/' && bytes.HasPrefix(sql[i:], blockComment):
			i += blockCommentEnd(sql[i:])
		default:
			i++
		}
	}
	return len(sql)
}

// escaped reports whether the quote at i opens an E” string, in which a backslash escapes.
func escaped(sql []byte, i int) bool {
	return i > 0 && sql[i-1]|0x20 == 'e' && (i == 1 || !isWord(sql[i-2]))
}

// quotedEnd returns the length of a quoted piece that begins sql. A doubled quote is read as two pieces, which comes to the
// same.
func quotedEnd(sql []byte, quote byte, escapes bool) int {
	for i := 1; i < len(sql); i++ {
		switch {
		case escapes && sql[i] == '\\':
			i++
		case sql[i] == quote:
			return i + 1
		}
	}
	return len(sql)
}

// dollarEnd returns how far to go from a dollar sign: over a dollar-quoted string, or over the sign alone when it opens none.
func dollarEnd(sql []byte, at int) int {
	if at > 0 && isWord(sql[at-1]) { // an identifier may contain a dollar sign
		return 1
	}
	i := at + 1
	for i < len(sql) && isWord(sql[i]) {
		i++
	}
	if i >= len(sql) || sql[i] != '$' || i > at+1 && sql[at+1] >= '0' && sql[at+1] <= '9' {
		return 1
	}
	tag := sql[at : i+1]
	end := bytes.Index(sql[i+1:], tag)
	if end < 0 {
		return len(sql) - at
	}
	return i + 1 + end + len(tag) - at
}
