package admin

import (
	"strings"

	"github.com/pgrouter/pgrouter/pgwire"
)

// splitStatements parts a query string at its semicolons; those in quotes part nothing. Comments and empty statements are left
// out.
func splitStatements(text string) []string {
	text = withoutComments(text)
	var out []string
	begin := 0
	var quote byte
	for i := 0; i <= len(text); i++ {
		switch {
		case i == len(text) || text[i] == ';' && quote == 0:
			if s := strings.TrimSpace(text[begin:i]); s != "" {
				out = append(out, s)
			}
			begin = i + 1
		case quote != 0 && text[i] == quote:
			quote = 0
		case quote == 0 && (text[i] == '"' || text[i] == '\''):
			quote = text[i]
		}
	}
	return out
}

// withoutComments puts a space in the place of each comment, with which drivers ask whether anybody is there.
func withoutComments(text string) string {
	if !strings.Contains(text, "--") && !strings.Contains(text, "/*") {
		return text
	}
	var b strings.Builder
	var quote byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		default:
			if n := commentLen(text[i:]); n > 0 {
				b.WriteByte(' ')
				i += n - 1
				continue
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// commentLen is the length of the comment at the beginning of text, 0 when there is none. Comments between /* and */ nest, as
// in SQL; one that is not closed goes on to the end.
func commentLen(text string) int {
	if strings.HasPrefix(text, "--") {
		if end := strings.IndexByte(text, '\n'); end >= 0 {
			return end
		}
		return len(text)
	}
	if !strings.HasPrefix(text, "/*") {
		return 0
	}
	depth := 0
	for i := 0; i+1 < len(text); i++ {
		switch text[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(text)
}

// behindWords returns what stands behind the first n words of a statement.
func behindWords(text string, n int) string {
	for range n {
		text = strings.TrimLeft(text, " \t\r\n\f\v")
		if end := strings.IndexAny(text, " \t\r\n\f\v\"'"); end >= 0 {
			text = text[end:]
		} else {
			text = ""
		}
	}
	return strings.TrimSpace(text)
}

// splitWords parts a statement into words. A word in double or single quotes is taken as it is, with doubled quotes for one.
func splitWords(text string) ([]string, error) {
	var words []string
	for {
		text = strings.TrimLeft(text, " \t\r\n\f\v")
		if text == "" {
			return words, nil
		}
		if q := text[0]; q == '"' || q == '\'' {
			word, rest, ok := quoted(text)
			if !ok {
				return nil, pgwire.ErrConsoleSyntax.New("a quote is not closed", text)
			}
			words, text = append(words, word), rest
			continue
		}
		end := strings.IndexAny(text, " \t\r\n\f\v\"'")
		if end < 0 {
			end = len(text)
		}
		words, text = append(words, text[:end]), text[end:]
	}
}

// quoted cuts a quoted word off the front of text.
func quoted(text string) (word, rest string, ok bool) {
	q := text[:1]
	var b strings.Builder
	for rest = text[1:]; ; {
		before, after, found := strings.Cut(rest, q)
		if !found {
			return "", "", false
		}
		b.WriteString(before)
		if !strings.HasPrefix(after, q) {
			return b.String(), after, true
		}
		b.WriteString(q)
		rest = after[1:]
	}
}
