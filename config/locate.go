package config

import (
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// locate returns the line of every key and table of a TOML document. The paths are those of faults: pool.size,
// listener[0].route. The document must be valid: the library has parsed it, but does not tell where it found what. For an
// invalid one the result is incomplete.
func locate(doc []byte) map[string]int {
	l := locator{doc: strings.TrimPrefix(string(doc), "\ufeff"), line: 1, lines: make(map[string]int), rows: make(map[string]int)}
	for l.skipBlank(); l.at < len(l.doc); l.skipBlank() {
		before := l.at
		if l.doc[l.at] == '[' {
			l.header()
		} else {
			l.pair(l.table)
		}
		if l.at == before {
			break
		}
	}
	return l.lines
}

// locator walks a document.
type locator struct {
	doc   string
	at    int
	line  int
	table string         // path of the table whose keys come now
	lines map[string]int // path → line
	rows  map[string]int // path of an array of tables → how many there were so far
}

// header reads [a.b] or [[a.b]].
func (l *locator) header() {
	array := strings.HasPrefix(l.doc[l.at:], "[[")
	l.at++
	if array {
		l.at++
	}
	line := l.line
	parts := l.key()
	path := ""
	for i, part := range parts {
		path = join(path, part)
		n, isArray := l.rows[path]
		switch {
		case array && i == len(parts)-1:
			l.note(path, line)
			l.rows[path] = n + 1
			path = element(path, n)
		case isArray:
			path = element(path, n-1)
		}
		l.note(path, line)
	}
	l.table = path
	l.take("]")
	l.take("]")
}

// pair reads key = value.
func (l *locator) pair(table string) {
	line := l.line
	path := table
	for _, part := range l.key() {
		path = join(path, part)
		l.note(path, line)
	}
	l.skipBlank()
	if l.take("=") {
		l.skipBlank()
		l.value(path)
	}
}

// key reads a key with dots in it and returns its parts.
func (l *locator) key() []string {
	var parts []string
	for {
		l.skipSpace()
		part, ok := l.part()
		if !ok {
			return parts
		}
		parts = append(parts, part)
		l.skipSpace()
		if !l.take(".") {
			return parts
		}
	}
}

func (l *locator) part() (string, bool) {
	begin := l.at
	if l.at < len(l.doc) && (l.doc[l.at] == '"' || l.doc[l.at] == '\'') {
		l.text()
		return unquote(l.doc[begin:l.at]), true
	}
	for l.at < len(l.doc) && !strings.ContainsRune(" \t\r\n.=[]{},#\"'", rune(l.doc[l.at])) {
		l.at++
	}
	return l.doc[begin:l.at], l.at > begin
}

// unquote returns what a quoted key means.
func unquote(quoted string) string {
	var v struct{ K string }
	if _, err := toml.Decode("K = "+quoted, &v); err != nil {
		return quoted
	}
	return v.K
}

// value skips a value, noting what is inside.
func (l *locator) value(path string) {
	if l.at >= len(l.doc) {
		return
	}
	switch l.doc[l.at] {
	case '"', '\'':
		l.text()
	case '[':
		l.at++
		l.list(path)
	case '{':
		l.at++
		l.inline(path)
	default:
		l.until(",]}#\n")
	}
}

func (l *locator) list(path string) {
	for i := 0; ; i++ {
		l.skipBlank()
		if l.at >= len(l.doc) || l.take("]") {
			return
		}
		l.note(element(path, i), l.line)
		before := l.at
		l.value(element(path, i))
		l.skipBlank()
		l.take(",")
		if l.at == before {
			return
		}
	}
}

func (l *locator) inline(path string) {
	for {
		l.skipBlank()
		if l.at >= len(l.doc) || l.take("}") {
			return
		}
		before := l.at
		l.pair(path)
		l.skipBlank()
		l.take(",")
		if l.at == before {
			return
		}
	}
}

// text skips a string of any of the four kinds.
func (l *locator) text() {
	quote := l.doc[l.at : l.at+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(l.doc[l.at:], triple) {
		l.at += len(triple)
		l.textTo(triple, quote)
		for range 2 { // up to two quotes may stand before the closing ones
			l.take(quote)
		}
		return
	}
	l.at++
	l.textTo(quote, quote)
}

// textTo goes behind the next end that no backslash hides.
func (l *locator) textTo(end, quote string) {
	for l.at < len(l.doc) && !strings.HasPrefix(l.doc[l.at:], end) {
		if l.doc[l.at] == '\\' && quote == `"` {
			l.step()
		}
		l.step()
	}
	l.at = min(l.at+len(end), len(l.doc))
}

// step goes one byte on.
func (l *locator) step() {
	if l.at < len(l.doc) {
		if l.doc[l.at] == '\n' {
			l.line++
		}
		l.at++
	}
}

func (l *locator) until(ends string) {
	for l.at < len(l.doc) && strings.IndexByte(ends, l.doc[l.at]) < 0 {
		l.at++
	}
}

func (l *locator) skipSpace() {
	for l.at < len(l.doc) && (l.doc[l.at] == ' ' || l.doc[l.at] == '\t') {
		l.at++
	}
}

// skipBlank goes to the next thing that is no white space and no comment.
func (l *locator) skipBlank() {
	for l.at < len(l.doc) {
		switch l.doc[l.at] {
		case ' ', '\t', '\r', '\n':
			l.step()
		case '#':
			l.until("\n")
		default:
			return
		}
	}
}

func (l *locator) take(s string) bool {
	if !strings.HasPrefix(l.doc[l.at:], s) {
		return false
	}
	l.at += len(s)
	return true
}

// note keeps the first line of a path.
func (l *locator) note(path string, line int) {
	if _, known := l.lines[path]; !known {
		l.lines[path] = line
	}
}

// join appends a part of a key to a path.
func join(path, part string) string {
	if !isBare(part) {
		part = quoteTOML(part)
	}
	if path == "" {
		return part
	}
	return path + "." + part
}

// element is the path of an element of an array.
func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// isBare says whether a key needs no quotes.
func isBare(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != ""
}
