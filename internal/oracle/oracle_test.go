package oracle

import (
	"slices"
	"testing"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// The ways in which a script is sent through the router.
const (
	whole       = "whole"
	singleBytes = "single bytes"
	pieces      = "pieces of 17 bytes"
	withThieves = "thieves"
)

// stage is where the scripts of one pool mode are played, one after the other.
type stage struct {
	*world
	mode  string
	clerk *wiretest.Peer // a direct connection on which the database is made what scripts expect
}

// TestTheRouterAnswersAsPostgreSQLDoes plays each script directly and through the router, in each pool mode: whole, in pieces, and
// with its server taken away at its marks.
func TestTheRouterAnswersAsPostgreSQLDoes(t *testing.T) {
	w := newWorld(t)
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := &stage{world: w, mode: mode, clerk: login(t, w.direct, mode, nil)}
			for _, sc := range scripts(mode) {
				t.Run(sc.name, func(t *testing.T) { s.compare(t, sc) })
			}
			leave(t, s.clerk)
		})
	}
}

// compare plays a script directly and in all ways through the router.
func (s *stage) compare(t *testing.T, sc script) {
	t.Helper()
	marks := 0
	direct := s.play(t, sc, s.direct, func(p *wiretest.Peer) {
		p.Mark = func() error { marks++; return nil }
	})
	if direct.Hung() {
		t.Fatalf("PostgreSQL leaves the client waiting: the script is wrong\n%s", direct.Beside("direct", direct, "direct"))
	}
	j := &judge{t: t, mode: s.mode, script: sc.name, direct: direct}
	if marks > 0 && s.mode != session { // whose clients keep their servers
		// First: what a server says to this client at login is asked of one that the thieves have used.
		h := newThieves(t, s.world, s.mode)
		j.hear(withThieves, s.play(t, sc, s.router, h.follow))
		h.leave()
		j.heldOn(h.kept)
	}
	j.hear(whole, s.play(t, sc, s.router, func(*wiretest.Peer) {}))
	if !sc.large {
		j.hear(singleBytes, s.play(t, sc, s.router, func(p *wiretest.Peer) { p.Chunk = 1 }))
	}
	if sc.large || marks == 0 {
		j.hear(pieces, s.play(t, sc, s.router, func(p *wiretest.Peer) { p.Chunk = 17 }))
	}
	j.sum()
}

// play plays a script on a connection of its own.
func (s *stage) play(t *testing.T, sc script, address string, with func(p *wiretest.Peer)) *wiretest.Dialogue {
	t.Helper()
	fill(t, s.clerk)
	p := dial(t, address)
	with(p)
	steps := sc.steps
	if !sc.bare {
		steps = append([]wiretest.Step{wiretest.Send(startup(s.mode, sc.parameters)), ready(1)}, steps...)
	}
	defer p.Conn.Close()
	return p.Converse(steps...)
}

// judge holds what came through the router against what came directly, and against what may differ.
type judge struct {
	t      *testing.T
	mode   string
	script string
	direct *wiretest.Dialogue
	used   []*difference
	pinned bool
}

func (j *judge) hear(way string, got *wiretest.Dialogue) {
	j.t.Helper()
	if same(j.direct, got) {
		return
	}
	for i := range differences {
		d := &differences[i]
		if d.covers(j.mode, j.script) && d.explains(j.direct, got) {
			j.used = append(j.used, d)
			return
		}
	}
	j.t.Errorf("%s:\n%s", way, j.direct.Beside("direct", got, "through the router, mode "+j.mode))
}

// heldOn looks whether the client kept its server at marks, and whether that is known.
func (j *judge) heldOn(kept []string) {
	j.t.Helper()
	for _, why := range kept {
		switch {
		case why == "":
		case !slices.Contains(pins[why], j.script):
			j.t.Errorf("the client keeps its server for %q, which is not in the list of pins", why)
		default:
			j.pinned = true
		}
	}
}

// sum complains of what is said to differ and does not any more.
func (j *judge) sum() {
	j.t.Helper()
	for i := range differences {
		if d := &differences[i]; !d.chance && d.covers(j.mode, j.script) && !slices.Contains(j.used, d) {
			j.t.Errorf("this differs no more, take it out of the list: %s", d.why)
		}
	}
	for why, names := range pins {
		if j.mode != session && !j.pinned && len(j.used) == 0 && slices.Contains(names, j.script) {
			j.t.Errorf("this pins no more for %q, take it out of the list", why)
		}
	}
}

// TestTheListsNameScripts finds entries for scripts that do not exist, or that exist twice.
func TestTheListsNameScripts(t *testing.T) {
	count := map[string]int{}
	for _, sc := range scripts(session) {
		count[sc.name]++
		if count[sc.name] > 1 {
			t.Errorf("two scripts are called %q", sc.name)
		}
	}
	var listed []string
	for _, d := range differences {
		listed = append(listed, d.scripts...)
	}
	for _, names := range pins {
		listed = append(listed, names...)
	}
	for _, name := range listed {
		if count[name] == 0 {
			t.Errorf("no script is called %q", name)
		}
	}
}
