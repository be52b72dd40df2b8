package topology

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Next reduces: it takes in what was seen since the last time and decides who is primary. It is pure: prev and its snapshot
// stay as they are, and the only clock is now. Observations of nodes that are not members, and those asked before the
// node's latest one, are ignored. Called with nothing seen, it lets old answers grow stale.
func Next(prev State, seen []Observation, now time.Time) (State, []Change) {
	r := begin(prev, now)
	for _, o := range seen {
		r.observe(o)
	}
	return r.finish()
}

// reduction is one run of the reducer: a private copy of a state that may be changed until it is finished.
type reduction struct {
	State
	prev    *Snapshot
	now     time.Time
	changes []Change
	alarms  []string

	word  Testimony // the DCS's last word
	fresh bool      // it counts still
}

// begin copies the state. Time never runs backwards: an older now counts as the previous one.
func begin(prev State, now time.Time) *reduction {
	r := &reduction{State: prev, prev: prev.Snapshot(), now: now}
	if now.Before(r.prev.At) {
		r.now = r.prev.At
	}
	r.nodes, r.said = slices.Clone(prev.nodes), slices.Clone(prev.said)
	return r
}

// finish judges, elects and makes the new snapshot.
func (r *reduction) finish() (State, []Change) {
	r.age()
	next := &Snapshot{
		Cluster:     r.prev.Cluster,
		Phase:       r.prev.Phase,
		Epoch:       r.prev.Epoch,
		LastPrimary: r.prev.LastPrimary,
		Since:       r.prev.Since,
		Seq:         r.prev.Seq + 1,
		At:          r.now,
	}
	r.weigh(next)
	r.elect(next)
	r.refuse(next)
	r.mindCommits(next)
	r.measure(next)
	next.SystemID, next.Timeline = r.identity(), r.floor.Timeline
	slices.Sort(r.alarms)
	next.Alarm = strings.Join(slices.Compact(r.alarms), "; ")
	next.Nodes = make([]Node, len(r.nodes))
	for i := range r.nodes {
		next.Nodes[i] = r.nodes[i].node
	}
	r.snap = next
	return r.State, r.changes
}

// find returns the member's memory, or nil.
func (r *reduction) find(id NodeID) *memory {
	for i := range r.nodes {
		if r.nodes[i].node.ID == id {
			return &r.nodes[i]
		}
	}
	return nil
}

func (r *reduction) change(c Change) { r.changes = append(r.changes, c) }

func (r *reduction) alarm(text string) { r.alarms = append(r.alarms, text) }

// observe takes in one observation.
func (r *reduction) observe(o Observation) {
	m := r.find(o.Node)
	if m == nil || o.Outcome == OutcomeUnknown || (m.heard() && o.At.Before(m.askedAt)) {
		return
	}
	before := m.node
	o.At = r.past(o.At)
	m.askedAt = o.At
	if o.Outcome == OutcomeAnswered {
		m.answer(o)
	} else {
		m.fail(o)
	}
	r.compare(before, m)
}

// past returns when a question was asked: one from the future would stay fresh for ever.
func (r *reduction) past(asked time.Time) time.Time {
	if asked.After(r.now) {
		return r.now
	}
	return asked
}

// heard reports whether anything, be it a failure, was ever heard of the node.
func (m *memory) heard() bool { return !m.askedAt.IsZero() }

// answer takes in what the node says of itself. Another start, role or identity is another life.
func (m *memory) answer(o Observation) {
	n := &m.node
	born := n.Incarnation == 0 || !n.StartedAt.Equal(o.StartedAt) || n.Role != o.Role || n.SystemID != o.SystemID ||
		(o.Role == RolePrimary && n.Timeline != o.Timeline)
	if born {
		n.Incarnation++
		m.currentAt = time.Time{} // what it shows may be older than before
	}
	if born || n.Timeline != o.Timeline || n.ReadOnly != o.ReadOnly {
		m.claimedAt = o.At
	}
	if o.History.Known() || o.Timeline != m.history.Timeline {
		m.history = o.History
	}
	m.stopped = false
	m.wait(o)
	n.Health, n.Role, n.ReadOnly = HealthUp, o.Role, o.ReadOnly
	n.SystemID, n.Timeline, n.Version = o.SystemID, o.Timeline, o.Version
	n.WriteLSN, n.ReceiveLSN, n.ReplayLSN = o.WriteLSN, o.ReceiveLSN, o.ReplayLSN
	m.replayAge = o.ReplayAge
	n.SeenAt, n.StartedAt, n.Problem = o.At, o.StartedAt, o.Note
}

// fail takes in that the node did not answer. What it said before is kept.
func (m *memory) fail(o Observation) {
	m.node.Health, m.node.Problem = o.Outcome.health(), o.Problem
	switch o.Outcome {
	case OutcomeRefused, OutcomeStopping:
		m.stopped = true
	case OutcomeReset, OutcomeStarting, OutcomeDenied, OutcomeFailed:
		m.stopped = false // a sign of life
	case OutcomeMissed, OutcomeAnswered, OutcomeUnknown: // silence takes nothing back
	}
}

// age makes suspect whose last answer is too old. The heartbeat says so itself when it is missed; this is for a probe that
// brings no news at all.
func (r *reduction) age() {
	for i := range r.nodes {
		m := &r.nodes[i]
		if m.node.Health != HealthUp || r.now.Sub(m.askedAt) <= r.limits.MaxAge {
			continue
		}
		before := m.node
		m.node.Health, m.node.Problem = HealthSuspect, "its probe brings no news"
		r.compare(before, m)
	}
}

// compare tells what changed on one node.
func (r *reduction) compare(before Node, m *memory) {
	n := &m.node
	if before.Role == n.Role && before.Health == n.Health {
		return
	}
	if before.Health != n.Health {
		r.change(Change{
			Kind: n.Health.change(), Node: n.ID, From: before.Health.String(), To: n.Health.String(),
			Reason: n.Problem, Took: r.now.Sub(before.Since),
		})
	}
	if before.Role != n.Role && before.Role != RoleUnknown {
		r.change(Change{Kind: ChangeNodeRole, Node: n.ID, From: before.Role.String(), To: n.Role.String()})
	}
	n.Since = r.now
}

// refuse says of each node whether it may not be used, and why.
func (r *reduction) refuse(next *Snapshot) {
	mixed := r.mixed()
	for i := range r.nodes {
		m := &r.nodes[i]
		before := m.node.Refused
		m.node.Refused = cmp.Or(r.refusal(m, mixed), r.outvoted(m, next))
		if m.node.Refused == "" {
			continue
		}
		r.alarm(string(m.node.ID) + ": " + m.node.Refused)
		if before == "" {
			r.change(Change{Kind: ChangeNodeRefused, Node: m.node.ID, Epoch: next.Epoch, Reason: m.node.Refused})
		}
	}
}

// refusal returns why the node may not be used, from the last that it said; "" when it may.
func (r *reduction) refusal(m *memory, mixed bool) string {
	n := &m.node
	switch {
	case n.Role == RoleUnknown:
		return ""
	case n.SystemID == 0:
		return "it does not tell its system identifier"
	case r.identity() != 0 && n.SystemID != r.identity():
		return "it belongs to another cluster: system identifier " + system(n.SystemID) + ", not " + system(r.identity())
	case mixed:
		return "the nodes have different system identifiers and none has been accepted yet"
	case n.Role != RolePrimary || n.Health == HealthDown || !r.floor.Known():
		return "" // what a node that is down was matters no more: it will say what it is
	case n.Timeline < r.floor.Timeline:
		return "an old primary: it is on timeline " + timeline(n.Timeline) + ", timeline " +
			timeline(r.floor.Timeline) + " has taken over; stop it, nobody may write there"
	case m.history.Known() && !m.descends(r.floor.Timeline):
		return "its timeline " + timeline(n.Timeline) + " does not descend from timeline " + timeline(r.floor.Timeline)
	}
	return ""
}

// mixed reports whether the nodes disagree on who they are while no identity is pinned.
func (r *reduction) mixed() bool {
	first := uint64(0)
	for i := range r.nodes {
		id := r.nodes[i].node.SystemID
		if r.identity() != 0 || id == 0 {
			continue
		}
		if first = cmp.Or(first, id); id != first {
			return true
		}
	}
	return false
}

func (m *memory) descends(timeline uint32) bool {
	_, ok := m.history.LeftAt(timeline)
	return ok
}

func system(id uint64) string { return strconv.FormatUint(id, 10) }

func timeline(t uint32) string { return strconv.FormatUint(uint64(t), 10) }
