package admin

import (
	"strings"

	"github.com/pgrouter/pgrouter/pgwire"
)

// splitStatements parts a query string at its semicolons; those in quotes part nothing. Empty statements are left out.
func splitStatements(text string) []string {
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
