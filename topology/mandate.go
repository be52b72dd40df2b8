package topology

import "fmt"

// mandate is what the witnesses beside SQL have to say on a node's taking writes.
type mandate uint8

// The mandates. The first three let a ready node be primary.
const (
	mandateSQL     mandate = iota // no DCS, or Patroni is paused: the SQL witness alone counts
	mandateNamed                  // the DCS's word is fresh and names the node
	mandateVouched                // the DCS is silent, the node is the primary, and all speaks for keeping it; or the DCS is awaited
	mandateUnheard                // the DCS is silent, and nobody vouches for the node
	mandateDenied                 // the DCS's word is fresh and names another or nobody; or the DCS is silent and the node's own agent denies
)

// opens reports whether a ready node may be primary with the mandate.
func (m mandate) opens() bool { return m <= mandateVouched }

// mandate judges the node m by what the witnesses beside SQL say.
func (r *reduction) mandate(m *memory) mandate {
	switch {
	case !r.limits.DCS:
		return mandateSQL
	case r.fresh && r.foreign():
		return mandateDenied
	case r.fresh && r.word.Paused:
		return mandateSQL
	case r.fresh && r.word.Leader == m.node.ID:
		return mandateNamed
	case r.fresh, r.agentHeard(m) && !m.agent.Leads:
		return mandateDenied
	case r.vouched(m), r.standing() == DCSAwaited && r.prev.Primary == m.node.ID:
		return mandateVouched
	}
	return mandateUnheard
}

// vouched reports whether m may stay primary while the DCS is silent: its reign has not ended, its own agent says that it leads, and no
// other agent says that of its node. What speaks against it by SQL is the obstacles' affair.
func (r *reduction) vouched(m *memory) bool {
	if r.limits.HoldWithoutDCS || m.node.ID != r.prev.LastPrimary || m.node.Timeline != r.floor.Timeline || !reigns(r.prev.Phase) ||
		!r.agentHeard(m) {
		return false
	}
	for i := range r.nodes {
		if other := &r.nodes[i]; other.node.ID != m.node.ID && r.agentHeard(other) && other.agent.Leads {
			return false
		}
	}
	return true
}

// reigns reports whether the last primary's reign goes on in the phase: it is open, or merely doubtful.
func reigns(p Phase) bool { return p == PhaseSteady || p == PhaseDoubtful }

// inDoubt reports whether the last primary stopped proving itself without anything that speaks against it: it is silent, or nobody
// vouches for it while the DCS is.
func (r *reduction) inDoubt(last *memory) bool {
	mandate := r.mandate(last)
	if mandate == mandateDenied || r.busy(last) {
		return false
	}
	return last.node.Health == HealthSuspect || (mandate == mandateUnheard && r.ready(last))
}

// busy reports whether the node's agent is stopping or still promoting its server: nothing may begin there, although SQL answers. A word
// from before the node was first seen as it is now is outdated: the promotion is over, or the server was started again.
func (r *reduction) busy(m *memory) bool {
	return r.agentHeard(m) && !m.claimedAt.After(m.agent.At) && (m.agent.State == AgentStopping || m.agent.State == AgentPromoting)
}

// identity returns the system identifier that the cluster must have: the pinned one, else what the DCS said last; 0 = not known.
func (r *reduction) identity() uint64 {
	if r.floor.SystemID != 0 {
		return r.floor.SystemID
	}
	return r.word.SystemID
}

// foreign reports whether the DCS speaks of another cluster than the pinned one: then it permits nothing.
func (r *reduction) foreign() bool { return r.word.SystemID != 0 && r.word.SystemID != r.identity() }

// unsettled returns why the rival m still stands against c, which the DCS names: the DCS was asked before m was first seen as it is now,
// so its word may be outdated. A word that is younger settles it; what remains of the rival then is an alarm, or its refusal.
func (r *reduction) unsettled(c, m *memory, why string) string {
	newer := m.node.Timeline > c.node.Timeline
	if m.claimedAt.After(r.word.At) && (newer || m.node.Timeline == c.node.Timeline) {
		return why
	}
	if newer && !r.ready(m) && m.node.Timeline > r.floor.Overruled {
		r.alarm(fmt.Sprintf("%s knows timeline %d, newer than timeline %d of %s, which the DCS names",
			m.node.ID, m.node.Timeline, c.node.Timeline, c.node.ID))
	}
	return ""
}

// outvoted returns why m may not be used although nothing else is wrong with it: it takes writes beside the primary that the DCS names.
func (r *reduction) outvoted(m *memory, next *Snapshot) string {
	n := &m.node
	if next.Primary == "" || n.Role != RolePrimary || n.ReadOnly || n.Health == HealthDown || r.mandate(m) != mandateDenied || !r.fresh {
		return ""
	}
	return "it takes writes on timeline " + timeline(n.Timeline) + ", but the DCS names " + string(next.Primary) +
		"; stop it, nobody may write there"
}

// mindDenied raises the alarm for nodes that are writable against the DCS's word while there is no primary.
func (r *reduction) mindDenied() {
	for i := range r.nodes {
		m := &r.nodes[i]
		if r.ready(m) && r.mandate(m) == mandateDenied && !r.busy(m) {
			r.alarm(string(m.node.ID) + " is writable, but " + r.withheld(m) + "; writes are held")
		}
	}
}

// withheld says what the witnesses beside SQL have against the node; "" when nothing.
func (r *reduction) withheld(m *memory) string {
	mandate := r.mandate(m)
	switch {
	case mandate == mandateDenied && r.fresh && r.foreign():
		return "the DCS speaks of another cluster"
	case mandate == mandateDenied && !r.fresh:
		return "the DCS is silent, and its agent says that it does not lead"
	case mandate == mandateDenied && r.word.Leader == "":
		return "the DCS names nobody"
	case mandate == mandateDenied:
		return "the DCS names " + string(r.word.Leader)
	case r.busy(m):
		return "its agent says that it is " + m.agent.State.String()
	case mandate == mandateUnheard:
		return r.silence()
	}
	return ""
}
