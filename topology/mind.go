package topology

// mindSilence raises the alarm while the DCS is silent, and says what that means for writes.
func (r *reduction) mindSilence(next *Snapshot) {
	switch {
	case next.DCS != DCSLost:
	case next.Primary != "":
		r.alarm(r.silence() + ": " + string(next.Primary) +
			" stays primary as long as its own Patroni says that it leads; no other node is opened before the DCS is heard again")
	default:
		r.alarm(r.silence() + ": no node is opened before it is heard again; writes are held")
	}
}

// mindLeader raises the alarm where the DCS names a node that SQL does not show to be ready, when that has lasted for longer than a
// failover should need.
func (r *reduction) mindLeader() {
	if !r.fresh || r.word.Paused || r.word.Leader == "" || r.now.Sub(r.closed) < r.limits.StartWait {
		return
	}
	named := r.find(r.word.Leader)
	if named == nil {
		r.alarm("the leader key names " + string(r.word.Leader) + ", which is no node of this router; writes are held")
		return
	}
	if why := r.unready(named); why != "" {
		r.alarm("the leader key names " + string(r.word.Leader) + ", but SQL says that " + why + "; writes are held")
	}
}

// unready says what a node lacks for writes by SQL, but for what its refusal says; "" when nothing.
func (r *reduction) unready(m *memory) string {
	n := &m.node
	switch {
	case n.Health != HealthUp && n.Problem != "":
		return "it is " + n.Health.String() + " (" + n.Problem + ")"
	case n.Health != HealthUp:
		return "it is " + n.Health.String()
	case n.Role != RolePrimary && r.agentHeard(m):
		return "it is a standby (its Patroni: " + m.agent.State.String() + ")"
	case n.Role != RolePrimary:
		return "it is a standby"
	case n.ReadOnly:
		return "it is read-only (default_transaction_read_only)"
	}
	return ""
}
