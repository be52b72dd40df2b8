package topology

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ear is the tests' own, naive memory of what all witnesses said: the judge of clusters with a DCS. It is a value; a node has the index of
// its name in worldNodes. There is one source of testimonies.
type ear struct {
	word    Testimony
	asked   time.Time // when the DCS was asked last, with or without an answer
	agents  [3]Agent
	latest  [3]Observation
	answer  [3]Observation // the latest answer
	claimed [3]time.Time   // when the question was asked that first brought what the latest answer says
}

func (e *ear) observe(o Observation) {
	i := slices.Index(worldNodes, string(o.Node))
	if i < 0 || o.At.Before(e.latest[i].At) {
		return
	}
	e.latest[i] = o
	if o.Outcome != OutcomeAnswered {
		return
	}
	old := &e.answer[i]
	if old.Outcome == OutcomeUnknown || old.Role != o.Role || old.Timeline != o.Timeline || old.SystemID != o.SystemID ||
		old.ReadOnly != o.ReadOnly || !old.StartedAt.Equal(o.StartedAt) {
		e.claimed[i] = o.At
	}
	*old = o
}

func (e *ear) testify(t Testimony) {
	if t.At.Before(e.asked) {
		return
	}
	e.asked = t.At
	if t.Problem == "" {
		e.word = t
	}
}

func (e *ear) attend(a Agent) {
	if i := slices.Index(worldNodes, string(a.Node)); i >= 0 && !a.At.Before(e.agents[i].At) {
		e.agents[i] = a
	}
}

// fresh reports whether the DCS's word counts.
func (e *ear) fresh(now time.Time) bool {
	return !e.word.At.IsZero() && now.Sub(e.word.At) <= e.word.Lease
}

// writable reports whether the node takes writes by its own fresh word.
func (e *ear) writable(i int, now time.Time) bool {
	o := &e.latest[i]
	return o.Outcome == OutcomeAnswered && o.Role == RolePrimary && !o.ReadOnly && o.Timeline != 0 && now.Sub(o.At) <= taleMaxAge
}

func (e *ear) agent(i int, now time.Time) (a *Agent, fresh bool) {
	a = &e.agents[i]
	return a, !a.At.IsZero() && a.Problem == "" && now.Sub(a.At) <= taleMaxAge
}

// busy reports whether the node's agent, asked since the node is as it is, is stopping or promoting it.
func (e *ear) busy(i int, now time.Time) bool {
	a, heard := e.agent(i, now)
	return heard && (a.State == AgentStopping || a.State == AgentPromoting) && !e.claimed[i].After(a.At)
}

// step is one reduction as the judge sees it.
type step struct {
	now    time.Time
	before *Snapshot
	after  State
	hold   bool // Limits.HoldWithoutDCS
}

// judge returns what is wrong with the primary that the step left; "" when nothing. SQL alone decides during a pause: that is the affair
// of those who judge clusters without a DCS.
func (e *ear) judge(s step) string {
	snap := s.after.Snapshot()
	p := slices.Index(worldNodes, string(snap.Primary))
	if p < 0 {
		return ""
	}
	switch {
	case !e.writable(p, s.now) || e.latest[p].SystemID != snap.SystemID || e.latest[p].Timeline != snap.Timeline:
		return "the primary is not ready"
	case e.busy(p, s.now):
		return "the primary's agent is " + e.agents[p].State.String()
	case snap.Primary != s.before.LastPrimary && snap.Epoch != s.before.Epoch+1:
		return "another primary within the same epoch"
	case !e.fresh(s.now):
		return e.judgeKept(s, p)
	case e.word.SystemID != 0 && e.word.SystemID != snap.SystemID:
		return "the DCS speaks of another cluster"
	case e.word.Paused:
		return ""
	case e.word.Leader != snap.Primary:
		return "the DCS names another, or nobody"
	}
	for i := range worldNodes {
		if i != p && e.rivals(i, p, s.now) && e.claimed[i].After(e.word.At) {
			return "there is a rival of which the DCS cannot have known"
		}
	}
	return ""
}

// judgeKept judges a primary without the word of the DCS.
func (e *ear) judgeKept(s step, p int) string {
	snap := s.after.Snapshot()
	a, heard := e.agent(p, s.now)
	switch {
	case s.hold:
		return "kept although writes are to be held"
	case snap.Primary != s.before.LastPrimary || snap.Epoch != s.before.Epoch:
		return "opened without the DCS"
	case s.before.Phase != PhaseSteady && s.before.Phase != PhaseDoubtful:
		return "opened again without the DCS"
	case !heard || !a.Leads:
		return "kept although its agent does not say that it leads"
	}
	for i := range worldNodes {
		if other, heard := e.agent(i, s.now); i != p && heard && other.Leads {
			return "kept although another agent leads"
		}
		if i != p && e.rivals(i, p, s.now) {
			return "kept beside a rival"
		}
	}
	return ""
}

// rivals reports whether node i takes writes as well as node p.
func (e *ear) rivals(i, p int, now time.Time) bool {
	return e.writable(i, now) && e.latest[i].SystemID == e.latest[p].SystemID && e.latest[i].Timeline >= e.latest[p].Timeline
}

// missing returns the name of a node that should be primary and is not; "" when none. It looks at the plain cases only: no word that
// contradicts another.
func (e *ear) missing(s step, floor Floor) string {
	snap := s.after.Snapshot()
	if s.before.Phase == PhaseUnknown || snap.Primary != "" {
		return ""
	}
	for p, id := range worldNodes {
		a, heard := e.agent(p, s.now)
		due := e.word.Leader == NodeID(id) && !e.word.Paused && e.word.SystemID == e.latest[p].SystemID
		if !e.fresh(s.now) {
			due = !s.hold && s.before.Primary == NodeID(id) && e.latest[p].Timeline == floor.Timeline && heard && a.Leads
		}
		if due && !e.busy(p, s.now) && e.writable(p, s.now) && e.latest[p].Timeline >= floor.Timeline && e.unchallenged(p, s.now) {
			return id
		}
	}
	return ""
}

// unchallenged reports whether no other node says anything that could count against p.
func (e *ear) unchallenged(p int, now time.Time) bool {
	for i := range worldNodes {
		other, heard := e.agent(i, now)
		o := &e.answer[i]
		if i == p || o.Outcome == OutcomeUnknown {
			continue
		}
		if (heard && other.Leads) || e.claimed[i].After(e.word.At) || (!e.fresh(now) && (o.Role != RoleStandby || o.Timeline > e.latest[p].Timeline)) {
			return false
		}
	}
	return true
}

// letters is the alphabet of the exhaustive simulation, in the words of the tables.
var letters = []string{
	"a primary 1", "a primary 2 from 1@60", "a standby 2", "a missed", "a refused",
	"b standby 1", "b primary 1", "b primary 2", "b missed",
	"dcs a", "dcs b", "dcs -", "dcs a paused", "dcs b sys 8", silence,
	"agent a leads", "agent a follows", "agent a leads stopping", "agent b leads", "agent b leads promoting",
}

// silence lets the DCS's word and those of the agents grow old, while the nodes go on saying what they said.
const silence = "silence"

// beginnings are where each simulation starts: from nothing, from a primary that the DCS names, from one that is kept, from a takeover,
// from a pause.
var beginnings = []string{
	``,
	"a primary 1, b standby 1, dcs a, agent a leads, agent b follows",
	"a primary 1, b standby 1, dcs a\npass 11s\na primary 1, b standby 1, agent a leads, agent b follows",
	"a primary 1, b standby 1, dcs a\na missed, dcs b\nb primary 2",
	"a primary 1, b standby 1, dcs - paused",
}

// depth is how many letters follow each beginning; PGROUTER_DEPTH is another number. The tree has 20 letters and 5 beginnings:
// 5 × (20 + 20² + 20³ + 20⁴) = 842 100 reductions.
const depth = 4

// letter is one letter, read.
type letter struct {
	text   string
	seen   []Observation
	said   []Testimony
	agents []Agent
}

func read(t *testing.T, text string) letter {
	t.Helper()
	l := letter{text: text}
	s := taleWith(t, dcsLimits)
	switch words := strings.Fields(text); words[0] {
	case silence:
	case "dcs":
		l.said = []Testimony{s.testimony(words[1:])}
	case "agent":
		l.agents = []Agent{s.agent(words[1:])}
	default:
		l.seen = []Observation{s.observation(words)}
	}
	return l
}

// forest is the exhaustive simulation.
type forest struct {
	t       *testing.T
	letters []letter
	hold    bool
	count   int
	path    []string
}

// branch is a point in the forest.
type branch struct {
	state State
	ear   ear
	now   time.Time
}

// play takes one letter.
func (b *branch) play(l letter) {
	b.now = b.now.Add(100 * time.Millisecond)
	if l.text == silence {
		b.now = b.now.Add(taleLease)
		l.seen = nil
		for _, o := range b.ear.latest {
			if o.Outcome != OutcomeUnknown {
				l.seen = append(l.seen, o)
			}
		}
	}
	for _, o := range l.seen {
		o.At = b.now
		b.ear.observe(o)
		b.state, _ = Next(b.state, []Observation{o}, b.now)
	}
	for _, t := range l.said {
		t.At = b.now
		b.ear.testify(t)
		b.state, _ = Witness(b.state, []Testimony{t}, nil, b.now)
	}
	for _, a := range l.agents {
		a.At = b.now
		b.ear.attend(a)
		b.state, _ = Witness(b.state, nil, []Agent{a}, b.now)
	}
}

func (f *forest) grow(b branch, depth int) {
	if depth == 0 || f.t.Failed() {
		return
	}
	for _, l := range f.letters {
		next := b
		f.path = append(f.path, l.text)
		next.play(l)
		f.judge(b, next, l)
		f.grow(next, depth-1)
		f.path = f.path[:len(f.path)-1]
	}
}

func (f *forest) judge(b, next branch, l letter) {
	f.count++
	before, floor, snap := b.state.Snapshot(), b.state.Floor(), next.state.Snapshot()
	s := step{now: next.now, before: before, after: next.state, hold: f.hold}
	fault := next.ear.judge(s)
	if missing := next.ear.missing(s, floor); fault == "" && missing != "" && l.text != silence {
		fault = missing + " is not opened"
	}
	lifted := next.state.Floor()
	switch {
	case snap.Epoch < before.Epoch || lifted.Timeline < floor.Timeline || (floor.Known() && lifted.SystemID != floor.SystemID):
		fault = "the floor or the epoch went back"
	case (snap.Primary != "") != (snap.Phase == PhaseSteady):
		fault = "primary and phase do not go together"
	case snap.Primary != "" && !snap.PrimaryNode().Usable():
		fault = "the primary is refused: " + snap.PrimaryNode().Refused
	}
	if fault != "" {
		f.t.Errorf("%s: primary %q, phase %s, epoch %d after\n%s", fault, snap.Primary, snap.Phase, snap.Epoch, strings.Join(f.path, "\n"))
	}
}

func TestNoInterleavingOfWitnessesOpensANodeThatTheDCSDoesNotPermit(t *testing.T) {
	deep := depth
	if text := os.Getenv("PGROUTER_DEPTH"); text != "" {
		var err error
		if deep, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	} else if raceEnabled || testing.Short() {
		deep--
	}
	f := &forest{t: t}
	for _, text := range letters {
		f.letters = append(f.letters, read(t, text))
	}
	for _, beginning := range beginnings {
		f.grow(f.begin(beginning), deep)
	}
	want, level := 0, 1
	for range deep {
		level *= len(letters)
		want += level * len(beginnings)
	}
	if f.count != want && !t.Failed() {
		t.Errorf("%d reductions, not %d", f.count, want)
	}
}

// begin plays a beginning.
func (f *forest) begin(story string) branch {
	now := time.Unix(1_000_000, 0)
	b := branch{state: NewState("main", named(worldNodes[:2]), Floor{}, dcsLimits, now), now: now}
	f.path = []string{story}
	for line := range strings.Lines(story) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "pass "); ok {
			d, err := time.ParseDuration(rest)
			if err != nil {
				f.t.Fatal(err)
			}
			b.now = b.now.Add(d)
			continue
		}
		for part := range strings.SplitSeq(line, ",") {
			b.play(read(f.t, strings.TrimSpace(part)))
		}
	}
	return b
}
