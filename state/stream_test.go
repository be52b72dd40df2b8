package state

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/event"
)

// inPieces reads a text in pieces, whose lengths are drawn.
func inPieces(text []byte, length func() int) (Class, bool) {
	var s Stream
	for len(text) > 0 {
		n := min(max(length(), 1), len(text))
		s.Read(append(make([]byte, 0, n), text[:n]...)) // nothing behind it can be read, and it does not stay
		text = text[n:]
	}
	c := s.End()
	if c.Pin != s.Pin() {
		panic("what pins at the end is not what pins behind it")
	}
	return c, s.ReadOnly()
}

// checkPieces cuts a text at every place, into single bytes and at random, and holds that it means the same.
func checkPieces(t *testing.T, text string) {
	t.Helper()
	sql := []byte(text)
	want, reads := Classify(sql), ReadOnly(sql)
	check := func(how string, length func() int) {
		if got, alike := inPieces(sql, length); got != want || alike != reads {
			t.Errorf("%q: %+v %t, %s %+v %t", text, want, reads, how, got, alike)
		}
	}
	check("byte by byte", func() int { return 1 })
	for at := range min(len(sql), 200) {
		once := at
		check("in two", func() int { n := once; once = len(sql); return n })
	}
	random := rand.New(rand.NewPCG(uint64(len(sql)), 0))
	for range 10 {
		check("at random", func() int { return random.IntN(9) })
	}
}

// piecesTexts are texts in which every state of the lexer and of the judges comes up.
func piecesTexts() []string {
	return []string{
		"", ";", " ", "select 1", "commit", "-- ", "/* /* */ */ listen x", "select 1 -- a\nfrom t", "select 2-1/1*3", "e", "u", "u&", "$", "$1", "$a", "$a$",
		`select E'a\'b\\' , e'c''d' "e""f" u&"g" U&'h' $$i$$ $j$k$l$m$j$`, `select '\'; listen x; --'`, `select 'a\\\\'; listen x`, `select E'a'` + "\n" + `'\'; listen x; --'`,
		"select $a$ $b$ $$ $a $ab$ $a$; listen x", "select $1, $2; listen x", "select $abc from t; listen x", "select $e'\\'; listen x; --'", "select a$b$c$b$; listen x",
		"set local x = 1", "set session timezone to 'UTC'", "set timezone.x = 1", "set role x", "set", "set session", "set timezone",
		"create or replace local temp table x (n int, m int) on commit drop", "create temp table x as select 1", "create temp table x", "create temp",
		"declare c no scroll cursor with hold for select 1", "declare c cursor without hold for select 1", "prepare transaction 'x'", "prepare transaction as select 1", "prepare p",
		"explain analyze create temp table x as select 1", "explain analyze insert into t values (1)", "with a as (insert into t values (1) returning n) select n from a",
		"select 1 into local temp x", "insert into temp values (1)", "select pg_catalog . pg_advisory_lock /* why */ (1)", `select "pg_advisory_lock"(1)`, `select "pg_advisory""_lock"(1)`,
		"select set_config('a', (f(1, 2)), true)", "select set_config('a', 'b', not true)", "select set_config('a', set_config('b', 'c', true), true)", "select set_config('a', ",
		"create table pg_temp.x(n int)", "do $$begin listen x; end$$", "do 'begin execute ''set role x''; end'", "do $a$begin execute $b$listen x$b$; end$a$", "do E'begin perform f(\\'listen x\\'); end'",
		"do 'begin", "do $$begin set", "do $$begin if true then create temp table x(n int) on commit drop; end if; end$$; select 1", "do language 'plpgsql' 'begin listen x; end'",
		"select '" + strings.Repeat("x", 300) + "'; set role x", strings.Repeat("y", 200) + "_advisory_lock(1)", strings.Repeat("z", 40) + "_advisory_lock(1)",
		"select $" + strings.Repeat("t", 61) + "$ ; $" + strings.Repeat("t", 61) + "$; listen x", "select 1; $" + strings.Repeat("t", 200) + "$ a $" + strings.Repeat("t", 200) + "$",
	}
}

func TestATextMeansTheSameWhereverItIsCut(t *testing.T) {
	for _, text := range piecesTexts() {
		checkPieces(t, text)
	}
}

// longTag reports whether a text may have a dollar tag that is longer in bytes than is kept of one.
func longTag(text string) bool {
	parts := strings.Split(text, "$")
	return len(parts) > 2 && slices.ContainsFunc(parts[1:len(parts)-1], func(tag string) bool { return len(tag) > 62 })
}

// FuzzStream holds the same of any text.
func FuzzStream(f *testing.F) {
	for _, text := range piecesTexts() {
		f.Add(text, uint64(1))
	}
	f.Add(`select &""$`+strings.Repeat("t", 63)+"$", uint64(1))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		sql := []byte(text)
		random := rand.New(rand.NewPCG(seed, 0))
		limit := 1 + random.IntN(20)
		got, reads := inPieces(sql, func() int { return 1 + random.IntN(limit) })
		want := Classify(sql)
		if longTag(text) { // it is doubtful, though the quick look at one plain statement does not say so
			reads = ReadOnly(sql)
			if want.Pin == event.PinNone {
				want, got = Class{}, Class{}
			}
		}
		if got != want || reads != ReadOnly(sql) {
			t.Fatalf("%q: %+v, in pieces %+v", text, want, got)
		}
	})
}

// TestLongLiteralsAreNoReasonToPin: a stream neither pins for what stands in a literal, however long, nor overlooks what stands
// behind it, and it does not keep it.
func TestLongLiteralsAreNoReasonToPin(t *testing.T) {
	for _, quotes := range [][2]string{{"'", "'"}, {"E'", "'"}, {"$a$", "$a$"}, {`"`, `"`}, {"/*", "*/ 1"}} {
		junk := strings.ReplaceAll(`\x00; listen x; set role y; ', "; $$; //; -- `, quotes[1][:1], "")
		piece := []byte(strings.Repeat(junk, 100))
		for end, want := range map[string]event.PinReason{"": event.PinNone, "; listen x": event.PinListen} {
			var s Stream
			s.Read([]byte("insert into t values (" + quotes[0]))
			if n := testing.AllocsPerRun(100, func() { s.Read(piece) }); n != 0 {
				t.Errorf("%s: %v allocations", quotes[0], n)
			}
			s.Read([]byte(quotes[1] + ")" + end))
			if got := s.End(); got.Pin != want || got.Multi != (end != "") {
				t.Errorf("%s…%s%s: %+v", quotes[0], quotes[1], end, got)
			}
		}
	}
}
