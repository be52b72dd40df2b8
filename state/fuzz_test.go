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
		c := Classify([]byte(text), true) // any text is read without a fault
		front := Classify([]byte(text), false)
		if front.Pin != c.Pin || !front.MayEnd || !front.Multi {
			t.Fatalf("%q: %+v, as a beginning %+v", text, c, front)
		}
		quoted := "select '" + strings.ReplaceAll(text, "'", "''") + "'"
		if strings.Contains(text, "\x00") || strings.Contains(quoted, `\'`) {
			return // a NUL ends a text, and such a backslash may mean several things
		}
		for _, fill := range []string{" ", "\n", " /* ' \" ; $$ /* -- */ */", " -- ' \" ; $$ /*\n"} {
			if spaced := spread([]byte(text), fill); Classify(spaced, true) != c {
				t.Fatalf("%q: %+v, %q: %+v", text, c, spaced, Classify(spaced, true))
			}
		}
		if got := Classify([]byte(quoted), true); got != (Class{}) {
			t.Fatalf("%q: %+v", quoted, got)
		}
		want := Class{MayEnd: true, Multi: true, Pin: event.PinListen}
		if got := Classify([]byte(quoted+"; commit; listen x"), true); got != want {
			t.Fatalf("%q; commit; listen x: %+v", quoted, got)
		}
	})
}

// spread puts something in front of each token.
func spread(sql []byte, fill string) []byte {
	var out bytes.Buffer
	for s := (scanner{rest: sql}); ; {
		s.rest = skipBlank(s.rest)
		start := s.rest
		if s.next().kind == tokenNone {
			return out.Bytes()
		}
		out.WriteString(fill)
		out.Write(start[:len(start)-len(s.rest)])
	}
}
