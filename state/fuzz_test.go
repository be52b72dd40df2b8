package state

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/event"
)

// FuzzClassify holds that what stands behind quoted text is never overlooked, that what stands in quotes is no statement, and
// that blanks and comments between tokens change nothing.
func FuzzClassify(f *testing.F) {
	for _, s := range []string{
		"x", "it's", "$$", "/*", "--", `"`, ";commit;", "E", "$a$", "\n", `\'`, "select pg_advisory_lock(1)", "select 1 into temp x",
		"create temp table x(n int) on commit drop", `select U&"a"`, "select set_config('a.b', E'c', true)", "declare c cursor with hold for select 1",
		"do $$begin set role x; end$$", "prepare transaction 'x'; listen x", "explain create temp table pg_temp.x as select $1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := Classify([]byte(text)) // any text is read without a fault
		quoted := "select '" + strings.ReplaceAll(text, "'", "''") + "'"
		if strings.Contains(text, "\x00") || strings.Contains(quoted, `\'`) || longTag(text) {
			return // a NUL ends a text, such a backslash may mean several things, and such a tag is doubtful
		}
		for _, fill := range []string{" ", "\n", " /* ' \" ; $$ /* -- */ */", " -- ' \" ; $$ /*\n"} {
			if spaced := spread([]byte(text), fill); Classify(spaced) != c {
				t.Fatalf("%q: %+v, %q: %+v", text, c, spaced, Classify(spaced))
			}
		}
		if got := Classify([]byte(quoted)); got != (Class{}) {
			t.Fatalf("%q: %+v", quoted, got)
		}
		want := Class{MayEnd: true, Multi: true, Pin: event.PinListen}
		if got := Classify([]byte(quoted + "; commit; listen x")); got != want {
			t.Fatalf("%q; commit; listen x: %+v", quoted, got)
		}
	})
}

// spread puts something between all tokens of which it is certain that they are two.
func spread(sql []byte, fill string) []byte {
	var out bytes.Buffer
	var l lexer
	l.how = readStandard
	for i := range sql {
		if l.in == between || l.in == inWord && !isWord(sql[i]) && sql[i] != '\'' && sql[i] != '&' {
			out.WriteString(fill)
		}
		out.WriteByte(sql[i])
		for used := 0; used < 1; {
			n, _ := l.next(sql[i : i+1])
			used += n
		}
	}
	return out.Bytes()
}
