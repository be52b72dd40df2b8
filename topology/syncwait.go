package topology

import (
	"slices"
	"strings"
	"time"
)

// SyncWait is what a primary tells of its commits that wait for synchronous standbys. The zero value: they wait for nobody, or the
// node does not let the probe see it.
type SyncWait struct {
	Names   string    // synchronous_standby_names
	Present string    // the application names of those that stream and count now, separated by ", "
	Waiting int       // how many commits wait at this moment
	Oldest  time.Time // by the server's clock, when the statement of the oldest of them began: it tells one from another, no more
}

// stallAfter is how long a commit, the same one, must have waited, or a standby been missing, before an operator is told. A standby
// that is alive confirms within milliseconds, and one that restarts is back within seconds.
const stallAfter = 3 * time.Second

// wait takes in how the node's commits stand. What began to wait, or to be missing, at another time begins anew.
func (m *memory) wait(o Observation) {
	before, now := &m.node.SyncWait, &o.SyncWait
	if now.Waiting == 0 || before.Waiting == 0 || !now.Oldest.Equal(before.Oldest) {
		m.waitsSince = o.At
	}
	if !now.lonely() || !before.lonely() {
		m.lonelySince = o.At
	}
	m.node.SyncWait, m.node.SyncWaited = *now, 0
	if now.Waiting > 0 {
		m.node.SyncWaited = o.At.Sub(m.waitsSince)
	}
}

// lonely reports whether commits have to wait for a standby and there is none.
func (w *SyncWait) lonely() bool { return w.Names != "" && w.Present == "" }

// mindCommits says of each node whether its commits hang, which looks from outside as if the router did.
func (r *reduction) mindCommits(next *Snapshot) {
	for i := range r.nodes {
		m := &r.nodes[i]
		n := &m.node
		before := n.Stalled
		n.Stalled = m.stalled()
		if n.Stalled != "" {
			r.alarm(string(n.ID) + ": " + n.Stalled)
		}
		switch {
		case before == "" && n.Stalled != "":
			m.stalledAt = r.now
			r.change(Change{Kind: ChangeCommitsStalled, Node: n.ID, Epoch: next.Epoch, Reason: n.Stalled})
		case before != "" && n.Stalled == "":
			r.change(Change{Kind: ChangeCommitsFlow, Node: n.ID, Epoch: next.Epoch, Took: r.now.Sub(m.stalledAt)})
		}
	}
}

// stalled returns why the node's commits hang, or will; "" when they do not. Its numbers are not in it: an alarm that changes all the
// time is none.
func (m *memory) stalled() string {
	n := &m.node
	if n.Role != RolePrimary || n.Health != HealthUp || n.Refused != "" {
		return ""
	}
	switch w := &n.SyncWait; {
	case w.Waiting > 0 && m.askedAt.Sub(m.waitsSince) >= stallAfter:
		return "commits hang in the wait for a synchronous standby (SyncRep): " + w.blame()
	case w.lonely() && m.askedAt.Sub(m.lonelySince) >= stallAfter:
		return "the next commit will hang in the wait for a synchronous standby: " + w.blame()
	}
	return ""
}

// blame says which standby is missing, as far as that can be told.
func (w *SyncWait) blame() string {
	text := "synchronous_standby_names is '" + w.Names + "', "
	absent := w.absent()
	switch {
	case len(absent) > 0:
		text += "of which " + strings.Join(absent, ", ") + " does not stream"
	case w.Present == "":
		text += "and no standby streams"
	}
	if w.Present != "" {
		if len(absent) > 0 {
			text += "; "
		}
		text += w.Present + " streams, but what it confirms is not enough"
	}
	return text
}

// absent returns the standbys that are called by their names and do not stream.
func (w *SyncWait) absent() []string {
	present := strings.Split(w.Present, ", ")
	var absent []string
	for _, name := range w.called() {
		if !slices.ContainsFunc(present, func(p string) bool { return strings.EqualFold(p, name) }) {
			absent = append(absent, name)
		}
	}
	return absent
}

// called returns the names in synchronous_standby_names: "a, b", "2 (a, b)", "FIRST 2 (a, b)" or "ANY 2 (a, b)". Any standby, "*", is
// no name.
func (w *SyncWait) called() []string {
	list := w.Names
	if _, inner, found := strings.Cut(list, "("); found {
		list = strings.TrimSuffix(strings.TrimSpace(inner), ")")
	}
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.Trim(strings.TrimSpace(name), `"`); name != "" && name != "*" {
			names = append(names, name)
		}
	}
	return names
}
