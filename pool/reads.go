package pool

import (
	"maps"
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// Reads says how the reads of a cluster are spread among the nodes of a route.
type Reads struct {
	Weights   map[topology.NodeID]int // never changed; 1 for who is not in it. 0: no reads, but where a primary has to take the place of standbys
	SlowStart time.Duration           // in which the share of a node grows from a tenth when it has been restarted, or is new; 0: none
}

// weight returns a node's weight.
func (r Reads) weight(id topology.NodeID) int {
	if w, given := r.Weights[id]; given {
		return w
	}
	return 1
}

// SetReads puts another spreading of a cluster's reads in force. Connections are not closed for it. Any goroutine.
func (p *Pool) SetReads(c topology.ClusterID, r Reads) {
	p.change(c, func(v *clusterView) { v.reads = r })
}

// idlers returns the nodes of weight 0.
func (r Reads) idlers() []topology.NodeID {
	var nodes []topology.NodeID
	for id, w := range r.Weights {
		if w == 0 {
			nodes = append(nodes, id)
		}
	}
	return nodes
}

// life is the life of a node, and the pool clock when it was first seen fit for work in it.
type life struct {
	incarnation topology.Incarnation
	since       int64
}

// livesOf returns the lives of a view's nodes. One that was silent for a while comes back as warm as it went.
func livesOf(v *clusterView, before map[topology.NodeID]life, now int64) map[topology.NodeID]life {
	if v.snap == nil {
		return nil
	}
	lives := maps.Clone(before)
	if lives == nil {
		lives = make(map[topology.NodeID]life)
	}
	for i := range v.snap.Nodes {
		if n := &v.snap.Nodes[i]; n.Usable() && (n.Incarnation != lives[n.ID].incarnation) {
			lives[n.ID] = life{n.Incarnation, now}
		}
	}
	maps.DeleteFunc(lives, func(id topology.NodeID, _ life) bool { return v.snap.Node(id) == nil })
	return lives
}

// A share is what balancing gives a node: its weight times wholeShare, when it is warm. A cold one begins with a tenth of that.
const (
	wholeShare = 100
	coldPart   = 10
)

// shareLocked returns the share that a shelf's node has now, which by a loop's clock may be a moment before its life began.
func (q *Queue) shareLocked(sh *shelf, now int64) int64 {
	whole := wholeShare * int64(max(sh.weight, 1))
	slow, age := int64(q.mu.view.reads.SlowStart), now-sh.warming
	if slow == 0 || age >= slow {
		return whole
	}
	return max(whole*age/slow, whole/coldPart)
}

// inUseLocked reports whether any server of the nodes is in use.
func (q *Queue) inUseLocked() bool {
	return slices.ContainsFunc(q.mu.nodes, func(sh *shelf) bool { return sh.load() > 0 })
}
