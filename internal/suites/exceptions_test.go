//go:build suites

package suites

import (
	"slices"
	"strings"
	"testing"
)

// exception are tests of a suite that do worse through a router than directly, and why. One that does no worse any more fails the test,
// so that the lists tell what is true.
type exception struct {
	why    string // one sentence; "fault: " in front of what ought to be repaired
	chance bool   // whether they do hangs on which server a transaction gets: when they do not, nobody minds
	before int    // the version of PostgreSQL from which on they do no worse; 0 where there is none
	tests  []string
}

// listed are the exceptions that hold for a version of PostgreSQL.
func listed(exceptions []exception, version int) []exception {
	return slices.DeleteFunc(slices.Clone(exceptions), func(e exception) bool { return e.before != 0 && e.before <= version })
}

// count counts the tests of a list.
func count(exceptions []exception) (n int) {
	for _, e := range exceptions {
		n += len(e.tests)
	}
	return n
}

// judge holds a suite to the exceptions of this version of PostgreSQL. once runs it and returns which tests did worse through the router. Some tests of any suite look
// at statistics or at the clock, and fail now and then wherever they run: what was not expected has to happen twice.
func judge(t *testing.T, exceptions []exception, once func(again bool) (worse []string)) {
	t.Helper()
	exceptions = listed(exceptions, version(t))
	unknown, needless := unexpected(exceptions, once(false))
	if len(unknown)+len(needless) == 0 {
		return
	}
	t.Logf("REPEATED, because of: %s", strings.Join(slices.Concat(unknown, needless), " "))
	unknownAgain, needlessAgain := unexpected(exceptions, once(true))
	for _, name := range unknown {
		if slices.Contains(unknownAgain, name) {
			t.Errorf("%s does worse through the router than directly, twice", name)
		}
	}
	for _, name := range needless {
		if slices.Contains(needlessAgain, name) {
			t.Errorf("%s does no worse through the router than directly, twice: its exception is not needed", name)
		}
	}
}

// unexpected returns the tests that did worse and are no exceptions, and the exceptions that did no worse.
func unexpected(exceptions []exception, worse []string) (unknown, needless []string) {
	unknown = slices.Clone(worse)
	for _, e := range exceptions {
		for _, name := range e.tests {
			if !e.chance && !slices.Contains(worse, name) {
				needless = append(needless, name)
			}
		}
		unknown = slices.DeleteFunc(unknown, func(name string) bool { return slices.Contains(e.tests, name) })
	}
	return unknown, needless
}

// TestAnExceptionThatIsNotNeededIsFound holds the lists to what they promise.
func TestAnExceptionThatIsNotNeededIsFound(t *testing.T) {
	list := []exception{{why: "always", tests: []string{"a", "b"}}, {why: "at times", chance: true, tests: []string{"c", "d"}}}
	unknown, needless := unexpected(list, []string{"b", "c", "e"})
	if !slices.Equal(unknown, []string{"e"}) || !slices.Equal(needless, []string{"a"}) {
		t.Errorf("unknown %v, not needed %v", unknown, needless)
	}
}

// TestAnExceptionEndsWithAVersion does so for those that one version of PostgreSQL needs and the next does not.
func TestAnExceptionEndsWithAVersion(t *testing.T) {
	list := []exception{{why: "always", tests: []string{"a"}}, {why: "of old", before: 18, tests: []string{"b", "c"}}}
	if old, young := count(listed(list, 17)), count(listed(list, 18)); old != 3 || young != 1 {
		t.Errorf("%d tests are listed for 17, %d for 18", old, young)
	}
}
