package topology

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// witness is the test's own, naive memory of what each node said: the judge of the properties.
type witness struct {
	answer   Observation // the latest answer
	word     Observation // the latest observation that was not silence
	latest   Observation
	answered bool
}

type world struct {
	state     State
	limits    Limits
	ear       ear
	now       time.Time
	witnesses map[NodeID]*witness
	frozen    []*Snapshot // published
	copies    []Snapshot  // what they were when published
}

var worldNodes = []string{"a", "b", "c"}

func drawAcceptance(t *rapid.T) Acceptance {
	return Acceptance{
		SystemID: rapid.SampledFrom([]uint64{0, 0, 7, 8}).Draw(t, "accepted sys"),
		Timeline: uint32(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "accepted timeline")),
	}
}

func drawObservation(t *rapid.T, now time.Time) Observation {
	o := Observation{
		Node:    NodeID(rapid.SampledFrom(append([]string{"stranger"}, worldNodes...)).Draw(t, "node")),
		At:      now.Add(-time.Duration(rapid.IntRange(0, 3).Draw(t, "late")) * 500 * time.Millisecond),
		Outcome: Outcome(rapid.SampledFrom([]int{1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8}).Draw(t, "outcome")),
	}
	if o.Outcome != OutcomeAnswered {
		return o
	}
	o.Role = rapid.SampledFrom([]Role{RolePrimary, RolePrimary, RoleStandby, RoleUnknown}).Draw(t, "role")
	o.ReadOnly = rapid.IntRange(0, 7).Draw(t, "readonly") == 0
	o.SystemID = rapid.SampledFrom([]uint64{7, 7, 7, 7, 7, 7, 8, 0}).Draw(t, "sys")
	o.Timeline = uint32(rapid.IntRange(0, 4).Draw(t, "timeline"))
	o.StartedAt = time.Unix(int64(rapid.IntRange(0, 2).Draw(t, "start")), 0)
	o.WriteLSN = LSN(rapid.IntRange(0, 200).Draw(t, "write"))
	o.ReplayLSN = LSN(rapid.IntRange(0, 200).Draw(t, "replay"))
	if o.Role == RolePrimary && o.Timeline > 0 && rapid.Bool().Draw(t, "history") {
		o.History.Timeline = o.Timeline
		for parent := uint32(1); parent < o.Timeline; parent++ {
			if rapid.IntRange(0, 3).Draw(t, "parent") > 0 {
				o.History.Branches = append(o.History.Branches, Branch{Parent: parent, At: LSN(parent * 50)})
			}
		}
	}
	return o
}

func (w *world) record(o Observation) {
	m := w.witnesses[o.Node]
	if m == nil || o.At.Before(m.latest.At) {
		return
	}
	m.latest = o
	if o.Outcome != OutcomeMissed {
		m.word = o
	}
	if o.Outcome == OutcomeAnswered {
		m.answer, m.answered = o, true
	}
}

func (w *world) step(t *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 15).Draw(t, "pass")) * 200 * time.Millisecond)
	before, floor := w.state, w.state.Floor()
	accepted := false
	switch kind := rapid.IntRange(0, 19).Draw(t, "step"); {
	case kind == 0:
		w.state, _ = Next(w.state, nil, w.now)
	case kind == 1:
		var err error
		w.state, _, err = Accept(w.state, drawAcceptance(t), w.now)
		if accepted = err == nil; !accepted {
			w.state, _ = Next(w.state, nil, w.now)
		}
	case kind < 8 && w.limits.DCS:
		w.hear(t)
	default:
		seen := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Observation { return drawObservation(t, w.now) }), 1, 4).Draw(t, "seen")
		for _, o := range seen {
			w.record(o)
			w.ear.observe(o)
		}
		w.state, _ = Next(w.state, seen, w.now)
	}
	w.judge(t, before.Snapshot(), floor, accepted)
	snap := w.state.Snapshot()
	copied := *snap
	copied.Nodes = slices.Clone(snap.Nodes)
	w.frozen, w.copies = append(w.frozen, snap), append(w.copies, copied)
}

// hear lets witnesses beside SQL speak.
func (w *world) hear(t *rapid.T) {
	said := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Testimony { return drawTestimony(t, w.now) }), 0, 2).Draw(t, "said")
	agents := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Agent { return drawAgent(t, w.now) }), 0, 3).Draw(t, "agents")
	for _, s := range said {
		w.ear.testify(s)
	}
	for _, a := range agents {
		w.ear.attend(a)
	}
	w.state, _ = Witness(w.state, said, agents, w.now)
}

func drawTestimony(t *rapid.T, now time.Time) Testimony {
	return Testimony{
		Source:   "etcd",
		At:       now.Add(-time.Duration(rapid.IntRange(0, 3).Draw(t, "late")) * 500 * time.Millisecond),
		Problem:  rapid.SampledFrom([]string{"", "", "", "", "fails"}).Draw(t, "problem"),
		Lease:    time.Duration(rapid.IntRange(1, 8).Draw(t, "lease")) * time.Second,
		Leader:   NodeID(rapid.SampledFrom([]string{"", "stranger", "a", "a", "a", "b", "b", "c"}).Draw(t, "leader")),
		SystemID: rapid.SampledFrom([]uint64{7, 7, 7, 7, 7, 0, 8}).Draw(t, "sys"),
		Paused:   rapid.IntRange(0, 7).Draw(t, "paused") == 0,
	}
}

func drawAgent(t *rapid.T, now time.Time) Agent {
	return Agent{
		Node:    NodeID(rapid.SampledFrom(append([]string{"stranger"}, worldNodes...)).Draw(t, "node")),
		At:      now.Add(-time.Duration(rapid.IntRange(0, 3).Draw(t, "late")) * 500 * time.Millisecond),
		Problem: rapid.SampledFrom([]string{"", "", "", "", "fails"}).Draw(t, "problem"),
		Leads:   rapid.Bool().Draw(t, "leads"),
		State:   AgentState(rapid.SampledFrom([]int{0, 1, 1, 1, 1, 2, 3, 4, 5}).Draw(t, "state")),
	}
}

// named reports whether the DCS has the say on who is primary.
func (w *world) named() bool { return w.limits.DCS && w.ear.fresh(w.now) && !w.ear.word.Paused }

func (w *world) judge(t *rapid.T, before *Snapshot, floor Floor, accepted bool) {
	snap := w.state.Snapshot()
	mustBeLegal(t, "step", before.Phase, snap.Phase)
	if (snap.Primary != "") != (snap.Phase == PhaseSteady) {
		t.Fatalf("primary %q in phase %s", snap.Primary, snap.Phase)
	}
	if snap.Epoch < before.Epoch || snap.Epoch > before.Epoch+1 || snap.Seq < before.Seq || snap.At.Before(before.At) {
		t.Fatalf("the snapshot went back: epoch %d → %d, seq %d → %d", before.Epoch, snap.Epoch, before.Seq, snap.Seq)
	}
	lifted := w.state.Floor()
	if !accepted && floor.Known() && (lifted.SystemID != floor.SystemID || lifted.Timeline < floor.Timeline) {
		t.Fatalf("the floor went from %+v to %+v", floor, lifted)
	}
	if lifted.Epoch != snap.Epoch || lifted.Primary != snap.LastPrimary {
		t.Fatalf("floor %+v beside epoch %d of %s", lifted, snap.Epoch, snap.LastPrimary)
	}
	for _, n := range snap.Nodes {
		if old := before.Node(n.ID); old != nil && n.Incarnation < old.Incarnation {
			t.Fatalf("%s: incarnation went from %d to %d", n.ID, old.Incarnation, n.Incarnation)
		}
	}
	if snap.Primary == "" {
		return
	}
	w.judgePrimary(t, snap)
	if w.limits.DCS {
		fault := w.ear.judge(step{now: w.now, before: before, after: w.state, hold: w.limits.HoldWithoutDCS})
		if fault != "" {
			t.Fatalf("%s is primary: %s; the DCS said %+v", snap.Primary, fault, w.ear.word)
		}
	}
	if snap.Primary != before.LastPrimary && snap.Epoch != before.Epoch+1 {
		t.Fatalf("%s follows %s within epoch %d", snap.Primary, before.LastPrimary, snap.Epoch)
	}
	if !accepted && floor.Known() && !w.named() {
		w.judgeSuccession(t, snap, floor)
	}
}

// judgePrimary: the primary is ready by its own fresh word, and no other fresh word is as good, unless the DCS names it.
func (w *world) judgePrimary(t *rapid.T, snap *Snapshot) {
	p := w.witnesses[snap.Primary]
	a := p.answer
	if p.latest.Outcome != OutcomeAnswered || a.Role != RolePrimary || a.ReadOnly || w.now.Sub(a.At) > taleMaxAge ||
		a.SystemID != snap.SystemID || a.SystemID == 0 || a.Timeline != snap.Timeline {
		t.Fatalf("%s is primary on the word %+v", snap.Primary, p.latest)
	}
	if !snap.PrimaryNode().Usable() {
		t.Fatalf("the primary is not usable: %+v", snap.PrimaryNode())
	}
	for id, m := range w.witnesses {
		if w.named() {
			break
		}
		o := m.latest
		if id != snap.Primary && o.Outcome == OutcomeAnswered && o.Role == RolePrimary && !o.ReadOnly &&
			w.now.Sub(o.At) <= taleMaxAge && o.SystemID == a.SystemID && o.Timeline >= a.Timeline {
			t.Fatalf("%s is primary beside %s: %+v", snap.Primary, id, o)
		}
	}
}

// judgeSuccession: who follows has a proven higher timeline, or the old one has, in its latest word, stopped.
func (w *world) judgeSuccession(t *rapid.T, snap *Snapshot, floor Floor) {
	a := w.witnesses[snap.Primary].answer
	if a.Timeline > floor.Timeline {
		history := w.state.history(snap.Primary)
		if _, ok := history.LeftAt(floor.Timeline); !ok || history.Timeline != a.Timeline {
			t.Fatalf("%s follows on timeline %d with the history %+v", snap.Primary, a.Timeline, history)
		}
		return
	}
	if snap.Primary == floor.Primary {
		return
	}
	old := w.witnesses[floor.Primary]
	switch {
	case old.word.Outcome == OutcomeRefused || old.word.Outcome == OutcomeStopping:
	case old.answered && old.answer.Role == RoleStandby:
	case old.answered && old.answer.SystemID != floor.SystemID && old.answer.SystemID != 0:
	case old.answered && old.answer.Role == RolePrimary && old.answer.Timeline < floor.Timeline:
	default:
		t.Fatalf("%s follows on the same timeline, but the last word of %s is %+v", snap.Primary, floor.Primary, old.word)
	}
}

func (s State) history(id NodeID) History {
	for _, m := range s.nodes {
		if m.node.ID == id {
			return m.history
		}
	}
	return History{}
}

func TestNoSequenceOfObservationsOpensAnUnprovenNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_000_000, 0)
		limits := taleLimits
		limits.DCS, limits.HoldWithoutDCS = rapid.Bool().Draw(t, "dcs"), rapid.IntRange(0, 3).Draw(t, "hold") == 0
		w := &world{now: now, limits: limits, state: NewState("main", named(worldNodes), Floor{}, limits, now), witnesses: map[NodeID]*witness{}}
		for _, id := range worldNodes {
			w.witnesses[NodeID(id)] = &witness{}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			w.step(t)
		}
		for i, snap := range w.frozen {
			if diff := cmp.Diff(w.copies[i], *snap); diff != "" {
				t.Fatalf("a published snapshot was changed (I7):\n%s", diff)
			}
		}
	})
}

func TestTheSameInputsGiveTheSameResultAndLeaveTheOldStateAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_000_000, 0)
		state := NewState("main", named(worldNodes), Floor{}, taleLimits, now)
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			now = now.Add(300 * time.Millisecond)
			seen := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Observation { return drawObservation(t, now) }), 0, 4).Draw(t, "seen")
			all := cmp.AllowUnexported(State{}, memory{}, sighting{})
			opts := cmp.Options{all, cmpopts.EquateEmpty()}
			nodes, picture := slices.Clone(state.nodes), *state.snap
			one, oneChanges := Next(state, seen, now)
			two, twoChanges := Next(state, seen, now)
			if diff := cmp.Diff(one, two, opts) + cmp.Diff(oneChanges, twoChanges); diff != "" {
				t.Fatalf("two reductions of the same differ:\n%s", diff)
			}
			if diff := cmp.Diff(nodes, state.nodes, opts) + cmp.Diff(picture, *state.snap); diff != "" {
				t.Fatalf("Next changed the state that it was given:\n%s", diff)
			}
			state = one
		}
	})
}
