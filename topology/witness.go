package topology

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// source is what is remembered of one witness of the whole cluster.
type source struct {
	name  string
	asked time.Time // when the question of its latest answer, or failure, was asked
	last  Testimony // the last that it said; At is zero while it has said nothing
	fails string    // why it does not answer at present; "" when it does
}

// Witness reduces as Next does, with what witnesses beside SQL say: testimonies of the whole cluster, which count only where Limits.DCS
// says that there is a DCS, and agents of single nodes. What was asked before the latest of the same source, or of the same agent, is
// ignored, and so are agents of nodes that are no members.
func Witness(prev State, said []Testimony, agents []Agent, now time.Time) (State, []Change) {
	r := begin(prev, now)
	for _, t := range said {
		r.testify(t)
	}
	for _, a := range agents {
		r.attend(a)
	}
	return r.finish()
}

// testify takes in one testimony.
func (r *reduction) testify(t Testimony) {
	if !r.limits.DCS {
		return
	}
	i, known := slices.BinarySearchFunc(r.said, t.Source, func(s source, name string) int { return cmp.Compare(s.name, name) })
	if !known {
		r.said = slices.Insert(r.said, i, source{name: t.Source})
	}
	s := &r.said[i]
	if t.At.Before(s.asked) {
		return
	}
	t.At = r.past(t.At)
	t.Asked.At = t.Asked.At.Round(0).UTC() // so that equal moments are equal values
	s.asked, s.fails = t.At, t.Problem
	if t.Problem == "" {
		s.last = t
	}
}

// attend takes in what an agent says of its node. An agent that fails takes back nothing but its being there: tags are configuration.
func (r *reduction) attend(a Agent) {
	m := r.find(a.Node)
	if m == nil || a.At.Before(m.agent.At) {
		return
	}
	a.At = r.past(a.At)
	m.agent = a
	if a.Problem == "" {
		m.node.Tags = a.Tags
	}
}

// agentHeard reports whether the node's agent answers, and what it said counts still.
func (r *reduction) agentHeard(m *memory) bool {
	a := &m.agent
	return !a.At.IsZero() && a.Problem == "" && r.now.Sub(a.At) <= r.limits.AgentAge
}

// weigh finds the DCS's last word, which is that of the source asked last, and shows it in the new snapshot.
func (r *reduction) weigh(next *Snapshot) {
	for i := range r.said {
		if last := &r.said[i].last; last.At.After(r.word.At) {
			r.word = *last
		}
	}
	r.fresh = !r.word.At.IsZero() && r.now.Sub(r.word.At) <= r.word.Lease
	next.DCS, next.Lease, next.Leader, next.Paused = r.standing(), r.word.Lease, r.word.Leader, r.word.Paused
	if r.fresh {
		next.Asked = r.asked()
	}
	for i := range r.nodes {
		m := &r.nodes[i]
		m.node.Sync, m.node.Agent = slices.Contains(r.word.Sync, m.node.ID), AgentUnknown
		if r.agentHeard(m) {
			m.node.Agent = m.agent.State
		}
	}
	r.tellDCS(next)
}

// asked returns what Patroni is asked for, by the word of who is shown every request, if anybody who is answers.
func (r *reduction) asked() Request {
	word := &r.word
	for i := range r.said {
		s := &r.said[i]
		heard := s.fails == "" && r.now.Sub(s.last.At) <= s.last.Lease
		if heard && s.last.SeesAll && (!word.SeesAll || s.last.At.After(word.At)) {
			word = &s.last
		}
	}
	return word.Asked
}

// standing says how the word of the DCS stands.
func (r *reduction) standing() DCS {
	switch {
	case !r.limits.DCS:
		return DCSNone
	case r.fresh:
		return DCSHeard
	case len(r.said) == 0 && r.now.Sub(r.began) < r.limits.StartWait:
		return DCSAwaited
	}
	return DCSLost
}

// tellDCS tells what changed in what the DCS says, and what an operator must know of it.
func (r *reduction) tellDCS(next *Snapshot) {
	if next.DCS != r.prev.DCS {
		r.tellStanding(next)
	}
	if next.Leader != r.prev.Leader {
		r.change(Change{Kind: ChangeLeaderKeyMoved, Node: next.Leader, From: string(r.prev.Leader), To: string(next.Leader), Epoch: next.Epoch})
	}
	if next.Paused != r.prev.Paused {
		kind := ChangePatroniResumed
		if next.Paused {
			kind = ChangePatroniPaused
		}
		r.change(Change{Kind: kind, Epoch: next.Epoch})
	}
	if next.Asked != r.prev.Asked {
		r.tellRequest(next)
	}
	if r.foreign() {
		r.alarm("the DCS speaks of another cluster: system identifier " + system(r.word.SystemID) + ", not " + system(r.identity()))
	}
}

// tellStanding tells that the DCS fell silent, or speaks again.
func (r *reduction) tellStanding(next *Snapshot) {
	took := r.now.Sub(r.dcsSet)
	r.dcsSet = r.now
	switch {
	case next.DCS == DCSLost:
		r.change(Change{Kind: ChangeDCSLost, Epoch: next.Epoch, Reason: r.silence(), Took: took})
	case r.prev.DCS == DCSLost:
		r.change(Change{Kind: ChangeDCSBack, Epoch: next.Epoch, Took: took})
	}
}

// tellRequest tells that Patroni was asked for something, or is not asked for it any more.
func (r *reduction) tellRequest(next *Snapshot) {
	if old := r.prev.Asked; old.Pending {
		r.change(Change{Kind: ChangeRequestGone, From: string(old.From), To: string(old.To), Epoch: next.Epoch})
	}
	if asked := next.Asked; asked.Pending {
		c := Change{Kind: ChangeRequestSeen, From: string(asked.From), To: string(asked.To), Epoch: next.Epoch}
		if !asked.At.IsZero() {
			c.Reason = "scheduled at " + asked.At.UTC().Format(time.RFC3339)
		}
		r.change(c)
	}
}

// silence says that the DCS is silent, and why as far as its sources know.
func (r *reduction) silence() string {
	var why []string
	for i := range r.said {
		if s := &r.said[i]; s.fails != "" {
			why = append(why, s.name+": "+s.fails)
		}
	}
	if len(why) == 0 {
		return "the DCS is silent"
	}
	return "the DCS is silent (" + strings.Join(why, "; ") + ")"
}
