package state

import (
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestEqualStatementsAreTheSame: who parses the same under the same circumstances has the same statement, and nobody else.
func TestEqualStatementsAreTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Statements
		type made struct {
			scope, text string
			generation  uint64
		}
		byKey, byName := make(map[made]*Statement), make(map[string]made)
		for range rapid.IntRange(1, 30).Draw(t, "statements") {
			m := made{
				rapid.SampledFrom([]string{"", "UTC"}).Draw(t, "scope"), rapid.SampledFrom([]string{"select 1", "select 2"}).Draw(t, "text"),
				rapid.Uint64Range(0, 1).Draw(t, "generation"),
			}
			s := table.Intern(m.scope, m.generation, []byte(m.text+"\x00\x00\x00"))
			if before, known := byKey[m]; known && before != s {
				t.Fatalf("%v is %s and %s", m, before.Name(), s.Name())
			}
			if before, known := byName[s.Name()]; known && before != m {
				t.Fatalf("%s is %v and %v", s.Name(), before, m)
			}
			byKey[m], byName[s.Name()] = s, m
			if !strings.HasPrefix(s.Name(), StatementPrefix) || !s.Shared() {
				t.Fatalf("%q, shared: %t", s.Name(), s.Shared())
			}
		}
	})
}

// TestStatementsThatNobodyHoldsAreForgotten, and their bytes with them.
func TestStatementsThatNobodyHoldsAreForgotten(t *testing.T) {
	var table Statements
	kept := table.Intern("", 0, []byte("select 1\x00\x00\x00"))
	for i := range uint64(100) {
		table.Intern("", i+1, []byte("select 2\x00\x00\x00"))
	}
	for n, _ := table.Size(); n > 1; n, _ = table.Size() {
		runtime.GC()
		runtime.Gosched()
	}
	if n, bytes := table.Size(); n != 1 || bytes != len(kept.Parse()) {
		t.Errorf("%d statements of %d bytes", n, bytes)
	}
	runtime.KeepAlive(kept)
}

// TestWhatIsKnownOfAStatementIsThatOfItsText.
func TestWhatIsKnownOfAStatementIsThatOfItsText(t *testing.T) {
	var table Statements
	for text, want := range map[string]struct{ mayEnd, readOnly bool }{
		"select 1": {false, true}, "commit": {true, true}, "insert into t values ($1)": {false, false},
	} {
		s := table.Intern("", 0, []byte(text+"\x00\x00\x01\x00\x00\x00\x17"))
		if s.Class().MayEnd != want.mayEnd || s.Class().Multi || s.ReadOnly() != want.readOnly {
			t.Errorf("%q: %+v, read only: %t", text, s.Class(), s.ReadOnly())
		}
	}
	if s := table.Unshared(); s.Shared() || !s.Class().MayEnd || s.ReadOnly() {
		t.Errorf("a statement of which nothing is known: %+v", s)
	}
}

// TestTheScopeIsWhatTextsMean: an application's name is no part of it.
func TestTheScopeIsWhatTextsMean(t *testing.T) {
	var table Table
	v := table.With(table.Empty(), "DateStyle", "ISO, MDY")
	if named := table.With(v, "application_name", "x"); named.Scope() != v.Scope() {
		t.Error("the application's name counts")
	}
	if other := table.With(v, "DateStyle", "ISO, DMY"); other.Scope() == v.Scope() {
		t.Error("the style of dates does not count")
	}
}
