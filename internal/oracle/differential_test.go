package oracle

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var (
	programTime = flag.Duration("program-time", 2*time.Second, "how long random programs are played")
	onlyProgram = flag.Int("program", -1, "the one to be played of those of the seed")
)

// TestRandomProgramsAreAnsweredAsByPostgreSQL plays random programs of statements that touch what a session holds, by all protocols, directly
// and through the router in transaction mode, where the client gets another server between any two units of work. One that differs is
// shortened as long as it does.
func TestRandomProgramsAreAnsweredAsByPostgreSQL(t *testing.T) {
	const workers = 2
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	databases := make([]string, workers)
	for n := range workers {
		databases[n] = "programs" + strconv.Itoa(n)
	}
	w := newWorld(t, databases...)
	until := time.Now().Add(*programTime)
	var next atomic.Int64
	t.Run("of a seed", func(t *testing.T) {
		for _, database := range databases {
			t.Run(database, func(t *testing.T) {
				t.Parallel()
				h := newTheatre(t, w, database)
				if *onlyProgram >= 0 {
					h.try(*onlyProgram)
					return
				}
				for time.Now().Before(until) && !t.Failed() {
					h.try(int(next.Add(1)) - 1)
				}
			})
		}
	})
	t.Logf("%d programs", next.Load())
	w.sound(t)
}

// try plays the n-th program of the seed, and shortens it if it differs. What is found is told also when the play breaks off.
func (h *theatre) try(n int) {
	h.t.Helper()
	p, since, report, over := written(n), h.moment(), "", false
	h.t.words, h.scene = nil, nil
	defer func() {
		if !over {
			report += fmt.Sprintf("%s%sThe play breaks off: %s", since.excerpt(h.database), lines(h.scene), strings.Join(h.t.words, "\n"))
		}
		if report != "" {
			caught.note(h.t, fmt.Sprintf("-run Programs -seed %d -program %d", *seed, n), report)
		}
	}()
	if first := h.difference(p); first != "" {
		report = fmt.Sprintf("%v. When it is played again it does not differ.\n%s%s", p, since.excerpt(h.database), first)
		if shortest, why := h.shrunk(p); why != "" {
			report = fmt.Sprintf("%v.\n%s", shortest, why)
		}
	}
	over = true
}

func written(n int) program {
	a := &author{dice: rand.New(rand.NewPCG(*seed, uint64(n)))}
	return a.write()
}

// TestWhatIsNotServedDiffersStill plays what random programs leave out.
func TestWhatIsNotServedDiffersStill(t *testing.T) {
	w := newWorld(t)
	h := newTheatre(t, w, transaction)
	h.strict = true
	for _, u := range unservedNow {
		if h.difference(program{parameters: u.parameters, acts: u.witness}) == "" {
			t.Errorf("this is served, take it out of the list: %s", u.why)
		}
	}
}

// TestTheGrammarIsWhole finds names that have no line, and names that nobody uses.
func TestTheGrammarIsWhole(t *testing.T) {
	used := map[string]bool{"statement": true}
	for name, lines := range grammar {
		for _, line := range lines {
			for _, part := range strings.Split(line, "{")[1:] {
				symbol, _, _ := strings.Cut(part, "}")
				if used[symbol] = true; len(grammar[symbol]) == 0 {
					t.Errorf("%s: nothing is called %q", name, symbol)
				}
			}
		}
	}
	for name := range grammar {
		if !used[name] {
			t.Errorf("nobody uses %q", name)
		}
	}
}
