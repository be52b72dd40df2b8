package topology

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Acceptance is an operator's word on what the cluster is from now on, after pg_upgrade, point-in-time recovery or initdb.
type Acceptance struct {
	SystemID uint64 // as the writable node tells it; 0: whatever it tells
	Timeline uint32 // likewise
	By       string // who says so, for the event
}

// ErrNothingToAccept answers Accept while a primary is proven.
var ErrNothingToAccept = errors.New("there is a primary: nothing to accept")

// Accept moves the floor, on an operator's word, to what the only writable node says of itself, although it has another system
// identifier or a timeline that does not follow: the identity is pinned at once, the timeline when the node becomes primary. What silent
// and stopped nodes last said is forgotten, and timelines that standbys know at this moment no longer count as contrary evidence. The
// DCS's permission is needed as ever. An error says why there is nothing to accept; the state is the old one then.
func Accept(prev State, a Acceptance, now time.Time) (State, []Change, error) {
	if prev.Snapshot().Primary != "" {
		return prev, nil, ErrNothingToAccept
	}
	r := begin(prev, now)
	r.age()
	chosen, err := r.acceptable(a)
	if err != nil {
		return prev, nil, err
	}
	was, is := r.floor, chosen.node
	r.floor = Floor{SystemID: is.SystemID, Epoch: was.Epoch, Primary: was.Primary}
	for i := range r.nodes {
		m := &r.nodes[i]
		if m.node.Health != HealthUp {
			m.forget()
		}
		r.floor.Overruled = max(r.floor.Overruled, m.node.Timeline)
	}
	r.change(Change{
		Kind: ChangeFloorLifted, Node: is.ID, From: timeline(was.Timeline), To: timeline(is.Timeline), Epoch: was.Epoch,
		Reason: fmt.Sprintf("%s accepted the cluster with system identifier %d, which was %d", a.author(), is.SystemID, was.SystemID),
	})
	next, changes := r.finish()
	return next, changes, nil
}

func (a Acceptance) author() string {
	if a.By == "" {
		return "an operator"
	}
	return a.By
}

// names reports whether the word is about what the node says of itself.
func (a Acceptance) names(n *Node) bool {
	return (a.SystemID == 0 || a.SystemID == n.SystemID) && (a.Timeline == 0 || a.Timeline == n.Timeline)
}

// acceptable returns the one writable node that the word names. Others of the same cluster must not take writes: between two the word
// would not choose, it would merely hide that they have parted.
func (r *reduction) acceptable(a Acceptance) (*memory, error) {
	var chosen *memory
	var claims []string
	for i := range r.nodes {
		m := &r.nodes[i]
		if !m.claims() {
			continue
		}
		claims = append(claims, m.claim())
		if a.names(&m.node) {
			chosen = m
		}
	}
	switch {
	case len(claims) == 0:
		return nil, errors.New("no node takes writes: start the one that is to be primary first")
	case chosen == nil:
		return nil, errors.New("no node that takes writes is the one named: " + strings.Join(claims, ", "))
	}
	for i := range r.nodes {
		m := &r.nodes[i]
		sameCluster := a.SystemID == 0 || m.node.SystemID == chosen.node.SystemID
		if m != chosen && m.claims() && sameCluster {
			return nil, fmt.Errorf("two nodes take writes, stop the one that is not to: %s", strings.Join(claims, ", "))
		}
	}
	return chosen, nil
}

// claims reports whether the node takes writes by its own fresh word, whatever the floor says of it.
func (m *memory) claims() bool {
	n := &m.node
	return n.Health == HealthUp && n.Role == RolePrimary && !n.ReadOnly && n.SystemID != 0 && n.Timeline != 0
}

func (m *memory) claim() string {
	return fmt.Sprintf("%s (system identifier %d, timeline %d)", m.node.ID, m.node.SystemID, m.node.Timeline)
}

// mindFloor names the way out where nothing but the floor keeps the writable nodes from being primary.
func (r *reduction) mindFloor() {
	barred := false
	for i := range r.nodes {
		m := &r.nodes[i]
		if !m.claims() {
			continue
		}
		if r.refusal(m, false) == "" {
			return
		}
		barred = true
	}
	if barred {
		r.alarm(fmt.Sprintf("every node that takes writes is refused: this cluster was accepted with system identifier %d on timeline %d; "+
			"if it was upgraded, restored or made anew on purpose, run pgrouter accept-cluster --cluster %s",
			r.floor.SystemID, r.floor.Timeline, r.prev.Cluster))
	}
}

// forget drops what the node once said of itself. Its count of lives goes on.
func (m *memory) forget() {
	n := &m.node
	m.stopped, m.history, m.currentAt = false, History{}, time.Time{}
	n.Role, n.ReadOnly, n.SystemID, n.Timeline = RoleUnknown, false, 0, 0
	n.WriteLSN, n.ReceiveLSN, n.ReplayLSN = 0, 0, 0
}
