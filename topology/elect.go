package topology

import (
	"cmp"
	"fmt"
	"time"
)

// elect decides who is primary and in which phase the cluster is.
func (r *reduction) elect(next *Snapshot) {
	if w := r.winner(); w != nil {
		r.enthrone(next, w)
	} else {
		r.vacate(next)
	}
	r.mindSilence(next)
	if next.Phase != r.prev.Phase || next.Primary != r.prev.Primary || next.Epoch != r.prev.Epoch {
		next.Since = r.now
	}
}

// winner returns the one node that is ready, has a mandate, is proven and without a rival, or nil. There is never more than one: the
// DCS names one, and only the last primary is kept without it; by SQL alone, of two ready nodes on the same timeline each is the other's
// rival, and of two timelines the newer is a rival of the older.
func (r *reduction) winner() *memory {
	if r.prev.Phase == PhaseUnknown && !r.everyoneHeard() {
		return nil
	}
	var won *memory
	for i := range r.nodes {
		c := &r.nodes[i]
		mandate := r.mandate(c)
		if !r.ready(c) || !mandate.opens() || r.busy(c) {
			continue
		}
		obstacles := r.obstacles(c, mandate)
		for _, text := range obstacles {
			r.alarm(text)
		}
		if len(obstacles) == 0 {
			won = c
		}
	}
	return won
}

// everyoneHeard reports whether each member, and the DCS, was heard of, or has been silent for so long that the first primary does not
// wait for it: otherwise an old primary that answers first would be opened for a moment.
func (r *reduction) everyoneHeard() bool {
	if r.standing() == DCSAwaited {
		return false
	}
	for i := range r.nodes {
		m := &r.nodes[i]
		if !m.heard() && r.now.Sub(m.joined) < r.limits.StartWait {
			return false
		}
	}
	return len(r.nodes) > 0
}

// ready reports readiness, the SQL witness: the node answers, is not in recovery and not read-only, has the pinned system
// identifier and is not below the floor.
func (r *reduction) ready(m *memory) bool {
	n := &m.node
	return n.Health == HealthUp && n.Role == RolePrimary && !n.ReadOnly &&
		n.SystemID != 0 && (r.identity() == 0 || n.SystemID == r.identity()) &&
		n.Timeline != 0 && n.Timeline >= r.floor.Timeline
}

// obstacles returns what forbids to open the ready node c, as texts for operators. A node that the DCS names needs no proof of its
// descent, and no rival counts that the DCS can have known.
func (r *reduction) obstacles(c *memory, mandate mandate) []string {
	var texts []string
	if why := r.unproven(c); why != "" && mandate != mandateNamed {
		texts = append(texts, why)
	}
	for i := range r.nodes {
		m := &r.nodes[i]
		if m.node.ID == c.node.ID {
			continue
		}
		why := r.rival(c, m)
		if why != "" && mandate == mandateNamed {
			why = r.unsettled(c, m, why)
		}
		if why != "" {
			texts = append(texts, why)
		}
	}
	return texts
}

// unproven returns why c may not follow on what was last accepted; "" when it may.
func (r *reduction) unproven(c *memory) string {
	switch {
	case !r.floor.Known() || c.node.Timeline == r.floor.Timeline || c.descends(r.floor.Timeline):
		return ""
	case c.history.Known():
		return fmt.Sprintf("%s is writable on timeline %d, which does not descend from timeline %d: it is not served",
			c.node.ID, c.node.Timeline, r.floor.Timeline)
	}
	return r.unknownDescent(c, r.floor.Timeline)
}

func (r *reduction) unknownDescent(c *memory, ancestor uint32) string {
	note := c.node.Problem
	if note == "" {
		note = "its timeline history is not known"
	}
	return fmt.Sprintf("%s is writable on timeline %d, but nothing proves that it descends from timeline %d: %s; writes are held",
		c.node.ID, c.node.Timeline, ancestor, note)
}

// rival returns why the node m forbids to open the ready node c; "" when it does not.
func (r *reduction) rival(c, m *memory) string {
	switch {
	case m.node.SystemID != 0 && m.node.SystemID != c.node.SystemID:
		if r.identity() != 0 || !r.ready(m) {
			return "" // refused; it is not of this cluster
		}
		return conflict(c, m)
	case m.node.ID == r.prev.LastPrimary && c.node.Timeline == r.floor.Timeline && m.mayWrite(r.floor.Timeline):
		return r.equal(c, m)
	case m.node.Timeline > c.node.Timeline:
		return r.newer(c, m)
	case m.node.Timeline == c.node.Timeline:
		if m.node.Role != RolePrimary || m.node.ReadOnly || m.stopped {
			return ""
		}
		return r.equal(c, m)
	case r.ready(m) && !c.history.Known():
		return conflict(c, m) + ", and " + r.unknownDescent(c, m.node.Timeline)
	case r.ready(m) && !c.descends(m.node.Timeline):
		return conflict(c, m)
	}
	return ""
}

// mayWrite reports whether the node, once writable on that timeline, has not been proven to have stopped since. A node of
// which nothing has been heard in this life of the router may.
func (m *memory) mayWrite(timeline uint32) bool {
	left := m.node.Role == RolePrimary && m.node.Timeline < timeline
	return !m.stopped && !left && m.node.Role != RoleStandby
}

// newer judges a node that knows a newer timeline than the ready node c: somewhere there is, or was, a newer primary.
func (r *reduction) newer(c, m *memory) string {
	writable := r.ready(m)
	switch {
	case writable && m.descends(c.node.Timeline):
		return fmt.Sprintf("%s is still writable on timeline %d, which timeline %d of %s has left behind",
			c.node.ID, c.node.Timeline, m.node.Timeline, m.node.ID)
	case writable:
		return conflict(c, m)
	case m.node.Timeline <= r.floor.Overruled:
		return ""
	case m.history.Known() && !m.descends(c.node.Timeline) && (m.stopped || m.node.Role == RoleStandby):
		return "" // of another branch, and out of the way
	}
	return fmt.Sprintf("%s knows timeline %d, newer than timeline %d of %s: there is, or was, a newer primary that this router does not see; writes are held",
		m.node.ID, m.node.Timeline, c.node.Timeline, c.node.ID)
}

// equal judges a node on the same timeline as the ready node c that may be writable as well.
func (r *reduction) equal(c, m *memory) string {
	if r.ready(m) {
		return conflict(c, m)
	}
	return fmt.Sprintf("%s is writable on timeline %d, but %s may still be: nothing proves that it has stopped (%s); stop it, or take it out of the configuration",
		c.node.ID, c.node.Timeline, m.node.ID, m.node.Health)
}

// conflict is the same sentence from both sides.
func conflict(a, b *memory) string {
	if a.node.ID > b.node.ID {
		a, b = b, a
	}
	return fmt.Sprintf("%s (timeline %d) and %s (timeline %d) both take writes", a.node.ID, a.node.Timeline, b.node.ID, b.node.Timeline)
}

// enthrone makes w the primary: the same reign when neither node nor timeline are others, else the next epoch.
func (r *reduction) enthrone(next *Snapshot, w *memory) {
	same := w.node.ID == r.prev.LastPrimary && w.node.Timeline == r.floor.Timeline && r.prev.Epoch > 0
	next.Phase, next.Primary, next.LastPrimary = PhaseSteady, w.node.ID, w.node.ID
	if r.prev.Phase == PhaseSplit {
		r.change(Change{Kind: ChangeSplitBrainHealed, Node: w.node.ID, Epoch: next.Epoch, Took: r.now.Sub(r.prev.Since)})
	}
	switch {
	case !same:
		next.Epoch++
		r.change(Change{
			Kind: ChangePrimaryChanged, Node: w.node.ID, From: string(r.prev.LastPrimary), To: string(w.node.ID),
			Epoch: next.Epoch, Reason: r.succession(w), Took: r.vacancy(),
		})
	case r.prev.Phase != PhaseSteady:
		r.change(Change{Kind: ChangePrimaryConfirmed, Node: w.node.ID, To: string(w.node.ID), Epoch: next.Epoch, Took: r.vacancy()})
	}
	if r.floor.Known() && w.node.Timeline > r.floor.Timeline {
		r.change(Change{Kind: ChangeFloorLifted, Node: w.node.ID, From: timeline(r.floor.Timeline), To: timeline(w.node.Timeline)})
	}
	r.closed = time.Time{}
	r.floor.SystemID, r.floor.Timeline = w.node.SystemID, w.node.Timeline
	r.floor.Epoch, r.floor.Primary = next.Epoch, w.node.ID
}

// vacancy returns for how long no node could take writes.
func (r *reduction) vacancy() time.Duration {
	if r.closed.IsZero() {
		return 0
	}
	return r.now.Sub(r.closed)
}

// succession says why w may follow, and what the old primary had written that w never received.
func (r *reduction) succession(w *memory) string {
	named := r.mandate(w) == mandateNamed
	switch {
	case named && (!r.floor.Known() || w.node.Timeline == r.floor.Timeline):
		return fmt.Sprintf("the DCS names it, on timeline %d", w.node.Timeline)
	case named && !w.descends(r.floor.Timeline):
		return fmt.Sprintf("the DCS names it, on timeline %d; nothing proves that this follows timeline %d", w.node.Timeline, r.floor.Timeline)
	case !r.floor.Known():
		return "the only writable node"
	case w.node.Timeline == r.floor.Timeline:
		return fmt.Sprintf("on the same timeline %d, and the old primary is out of the way", w.node.Timeline)
	}
	left, _ := w.history.LeftAt(r.floor.Timeline)
	text := fmt.Sprintf("timeline %d left timeline %d at %s", w.node.Timeline, r.floor.Timeline, left)
	if old := r.find(r.prev.LastPrimary); old != nil && old.node.Timeline == r.floor.Timeline && old.node.WriteLSN > left {
		text += fmt.Sprintf("; the old primary was last seen at %s, %d bytes further", old.node.WriteLSN, old.node.WriteLSN-left)
	}
	return text
}

// vacate leaves the cluster without a primary and says in which way.
func (r *reduction) vacate(next *Snapshot) {
	next.Phase = r.vacantPhase()
	last := r.find(r.prev.LastPrimary)
	if last != nil && last.node.Health == HealthUp && last.node.Role == RolePrimary && last.node.ReadOnly {
		r.alarm(string(last.node.ID) + " is the primary but read-only (default_transaction_read_only)")
	}
	if r.prev.Primary != "" {
		r.closed = r.now
	}
	r.mindDenied()
	r.mindFloor()
	r.mindLeader()
	if next.Phase == r.prev.Phase {
		return
	}
	c := Change{Node: r.prev.LastPrimary, From: string(r.prev.LastPrimary), Epoch: next.Epoch, Took: r.now.Sub(r.prev.Since)}
	if last != nil {
		c.Reason = cmp.Or(r.withheld(last), last.node.Problem)
	}
	if r.prev.Phase == PhaseSplit {
		r.change(Change{Kind: ChangeSplitBrainHealed, Epoch: next.Epoch, Took: c.Took})
	}
	switch next.Phase {
	case PhaseDoubtful:
		c.Kind = ChangePrimaryDoubtful
	case PhaseSplit:
		c.Kind, c.Reason = ChangeSplitBrain, r.firstAlarm()
	case PhaseLeaderless:
		c.Kind = ChangePrimaryLost
		if c.Reason == "" {
			c.Reason = r.firstAlarm()
		}
	case PhaseUnknown, PhaseSteady:
		return
	}
	r.change(c)
}

func (r *reduction) firstAlarm() string {
	if len(r.alarms) == 0 {
		return ""
	}
	return r.alarms[0]
}

// vacantPhase names the phase of a cluster without a primary. Doubtful means that the last primary, or the DCS, is silent and nothing
// else is known; leaderless, that nobody may take writes.
func (r *reduction) vacantPhase() Phase {
	p := r.prev.Phase
	last := r.find(r.prev.LastPrimary)
	switch {
	case r.split():
		return PhaseSplit
	case p == PhaseUnknown && !r.everyoneHeard():
		return PhaseUnknown
	case reigns(p) && last != nil && r.inDoubt(last):
		return PhaseDoubtful
	}
	return PhaseLeaderless
}

// split reports whether two nodes claim writes and none is proven. Once split, silence of one of them heals nothing; the DCS's word for
// one of them does.
func (r *reduction) split() bool {
	if named := r.find(r.word.Leader); named != nil && r.ready(named) && r.mandate(named) == mandateNamed {
		return false
	}
	for i := range r.nodes {
		c := &r.nodes[i]
		if !r.ready(c) {
			continue
		}
		for j := range r.nodes {
			m := &r.nodes[j]
			claims := r.ready(m) || (r.prev.Phase == PhaseSplit && m.node.Role == RolePrimary && !m.stopped)
			if i != j && claims && r.rival(c, m) != "" && (!r.ready(m) || r.rival(m, c) != "") {
				return true
			}
		}
	}
	return false
}
