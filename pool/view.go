package pool

import (
	"cmp"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// cluster is what all queues of one cluster look at. A queue reads the view anew under its own lock whenever it is told to
// refresh itself, so that it can be late but never goes back.
type cluster struct {
	view  atomic.Pointer[clusterView]
	waits waitCounts // of the queues with Route Primary
}

// clusterView is immutable.
type clusterView struct {
	snap    *topology.Snapshot // nil: nothing known yet
	held    event.HoldReason   // of the queues with Route Primary
	lagging laggards
	reads   Reads
	lives   map[topology.NodeID]life // never changed
	vacant  int64                    // pool clock since when no snapshot has had a primary; meaningful when snap has none

	replaced chan struct{} // closed when another view is in force
}

// Publish puts another picture of a cluster in force: waiters are routed anew, connections whose node's life, role or address
// is another one are closed (those in use when they are released), connections are opened for those who wait. A snapshot older
// than the one in force is ignored. Any goroutine.
func (p *Pool) Publish(snap *topology.Snapshot) {
	now := p.wires.clock()
	p.change(snap.Cluster, func(v *clusterView) {
		if v.snap == nil || snap.Seq >= v.snap.Seq {
			if v.snap == nil || v.snap.Seq == 0 || v.snap.Primary != "" { // Seq 0: Withdraw
				v.vacant = now
			}
			v.snap = snap
		}
	})
}

// Hold closes the door of a cluster's queues with Route Primary: units of work that run go on, none begins. Any goroutine.
func (p *Pool) Hold(c topology.ClusterID, why event.HoldReason) {
	p.change(c, func(v *clusterView) { v.held = why })
}

// Resume ends Hold. Any goroutine.
func (p *Pool) Resume(c topology.ClusterID) {
	p.change(c, func(v *clusterView) { v.held = event.HoldNone })
}

// change publishes another view of a cluster.
func (p *Pool) change(id topology.ClusterID, f func(v *clusterView)) {
	p.mu.Lock()
	c := p.clusterLocked(id)
	before := c.view.Load()
	next := *before
	f(&next)
	queues := ofCluster(p.mu.queues, id)
	next.lagging = judgeLag(&next, queues, before.lagging)
	next.lives = livesOf(&next, before.lives, p.wires.clock())
	next.replaced = make(chan struct{})
	c.view.Store(&next)
	close(before.replaced)
	p.mu.Unlock()
	p.tellLag(before, &next)
	p.refresh(queues)
}

// views returns the views of all clusters.
func (p *Pool) views() map[topology.ClusterID]*clusterView {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[topology.ClusterID]*clusterView, len(p.mu.clusters))
	for id, c := range p.mu.clusters {
		all[id] = c.view.Load()
	}
	return all
}

func ofCluster(queues []*Queue, id topology.ClusterID) []*Queue {
	var own []*Queue
	for _, q := range queues {
		if q.key.Cluster == id {
			own = append(own, q)
		}
	}
	return own
}

// doorway is what a queue offers to those who come.
type doorway struct {
	hold    event.HoldReason
	standIn topology.NodeID // the standby that serves in the place of a primary; "" = none does
}

// turnover is what a refresh has changed for those who wait.
type turnover struct {
	cluster  topology.ClusterID
	from, to doorway
	took     time.Duration
	waiting  int
}

// refresh lets queues look at their views, and tells of those that were held or released: one event for all that changed in
// the same way.
func (p *Pool) refresh(queues []*Queue) {
	var changes []turnover
	for _, q := range queues {
		if c := q.refresh(); c.from != c.to {
			changes = merge(changes, c)
		}
	}
	for _, c := range changes {
		p.emitTurnover(c)
	}
}

func merge(changes []turnover, c turnover) []turnover {
	for i := range changes {
		if known := &changes[i]; known.cluster == c.cluster && known.from == c.from && known.to == c.to {
			known.waiting += c.waiting
			known.took = max(known.took, c.took)
			return changes
		}
	}
	return append(changes, c)
}

func (p *Pool) emitTurnover(c turnover) {
	tell := func(k event.Kind, node topology.NodeID, why event.HoldReason) {
		p.events.Emit(event.Event{
			Time: p.wallClock(), Kind: k, Cluster: string(c.cluster), Node: string(node), Reason: why.String(), Took: c.took, Count: c.waiting,
		})
	}
	if c.from.standIn != "" {
		tell(event.ReadOnlyOver, c.from.standIn, c.to.hold)
	}
	switch {
	case c.to.standIn != "":
		tell(event.ReadOnlyBegun, c.to.standIn, c.from.hold)
	case c.to.hold != event.HoldNone:
		tell(event.PoolHeld, "", c.to.hold)
	case c.from.standIn == "":
		tell(event.PoolReleased, "", c.from.hold)
	}
}

// refresh puts the newest view in force.
func (q *Queue) refresh() turnover {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	c := turnover{cluster: q.key.Cluster, from: q.mu.doorway, took: time.Duration(now - q.mu.held), waiting: q.mu.line.n}
	q.viewLocked(now, &t)
	c.to = q.mu.doorway
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
	return c
}

// viewLocked routes the queue anew, retires what does not fit any more, and serves who waits.
func (q *Queue) viewLocked(now int64, t *todo) {
	q.mu.view = q.cluster.view.Load()
	if door := q.routeLocked(now); door != q.mu.doorway {
		q.mu.doorway, q.mu.held = door, now
	}
	for _, sh := range q.mu.shelves {
		sh.doubtful = false
		sh.eachLocked(func(s *Server) {
			q.ariseLocked(s)
			switch {
			case q.staleLocked(s):
				q.dismissLocked(s, t)
			case q.mu.hold == event.HoldPaused && (s.state != stateLinked || s.moving):
				q.retireLocked(s, closedPaused, t)
			}
		})
	}
	q.leavePrimaryLocked(t)
	q.sateLocked()
	q.fillLocked(now, t)
	q.warmLocked(now, t)
}

// leavePrimaryLocked lets reads leave a primary that stood in for standbys, with the units of work that run there, now that one serves them:
// what is open serves nobody any more.
func (q *Queue) leavePrimaryLocked(t *todo) {
	if q.mu.fallback || q.mu.hold != event.HoldNone || q.key.Route != routing.Replica && q.key.Route != routing.PreferReplica {
		return
	}
	for _, sh := range q.mu.shelves {
		if sh.node == q.mu.view.snap.Primary {
			sh.eachLocked(func(s *Server) {
				if !s.retiring.Load() {
					q.retireLocked(s, closedFallback, t)
				}
			})
		}
	}
}

// dismissLocked retires a server that belongs to a node as it is no more. Whoever has one that stands in for a primary loses it when his
// unit is over: in session mode, or pinned, he would keep it, and be refused every write, although there is a primary.
func (q *Queue) dismissLocked(s *Server, t *todo) {
	if s.state == stateLinked && s.Conn.Target.WantStandby && s.cut == event.CutNone {
		s.cut = event.CutStandInOver
		if !s.moving {
			t.cuts = append(t.cuts, s)
		}
	}
	if !s.retiring.Load() {
		q.retireLocked(s, closedStale, t)
	}
}

// routeLocked finds the nodes for the queue's route, and says why nothing may be handed out, if so.
func (q *Queue) routeLocked(now int64) doorway {
	for _, sh := range q.mu.nodes {
		sh.eligible = false
	}
	q.mu.nodes = q.mu.nodes[:0]
	q.mu.fallback = false
	v := q.mu.view
	why := noNode(q.key.Route)
	if v.snap != nil {
		d := v.decide(q.key.Route, q.rules)
		why = d.Hold
		for _, id := range d.Nodes {
			q.aimLocked(v, id)
		}
		q.mu.fallback = d.Fallback
	}
	switch {
	case q.mu.closed:
		return doorway{hold: event.HoldClosing}
	case q.pool.paused.Load().cover(q.key.Database):
		return doorway{hold: event.HoldPaused}
	case v.held != event.HoldNone && q.key.Route == routing.Primary:
		return doorway{hold: v.held}
	case len(q.mu.nodes) > 0:
		return doorway{}
	}
	if id := q.standInLocked(now); id != "" {
		q.aimLocked(v, id)
		return doorway{standIn: id}
	}
	return doorway{hold: cmp.Or(why, noNode(q.key.Route))}
}

// standInLocked returns the standby that serves for want of a primary; "" = there is one, or it has not been wanting for long enough.
func (q *Queue) standInLocked(now int64) topology.NodeID {
	if !q.readOnlySince(now) {
		return ""
	}
	v := q.mu.view
	return routing.StandIn(v.snap, v.excepted(q.rules), q.mu.standIn)
}

// readOnlySince reports whether the queue has been without a primary for so long that a standby may serve it.
func (q *Queue) readOnlySince(now int64) bool {
	v := q.mu.view
	return q.key.ReadOnly && v.snap != nil && v.snap.Primary == "" && time.Duration(now-v.vacant) >= q.mu.cfg.NoPrimaryAfter
}

// overdue reports whether the queue holds work that a standby may serve by now: nothing is published when a time is over.
func (q *Queue) overdue(now int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return (q.mu.hold == event.HoldNoPrimary || q.mu.hold == event.HoldSplitBrain) && q.standInLocked(now) != ""
}

// noNode names the hold of a route that has no node.
func noNode(r routing.Route) event.HoldReason {
	if r == routing.Primary {
		return event.HoldNoPrimary
	}
	return event.HoldNoReplica
}

// aimLocked makes a node of the view eligible.
func (q *Queue) aimLocked(v *clusterView, id topology.NodeID) {
	n := v.snap.Node(id)
	if n == nil {
		return
	}
	sh := q.shelfOfLocked(id)
	sh.aim(v.target(q.key, n))
	sh.eligible, sh.weight, sh.warming = true, v.reads.weight(id), v.lives[id].since
	q.mu.nodes = append(q.mu.nodes, sh)
}

// shelfOfLocked finds or makes the shelf of a node.
func (q *Queue) shelfOfLocked(id topology.NodeID) *shelf {
	for _, sh := range q.mu.shelves {
		if sh.node == id {
			return sh
		}
	}
	sh := &shelf{queue: q, node: id, purse: q.pool.limits.purseOf(q, nodeOf{q.key.Cluster, id})}
	q.mu.shelves = append(q.mu.shelves, sh)
	return sh
}

// staleLocked says whether a connection belongs to a node as it is no more (I2).
func (q *Queue) staleLocked(s *Server) bool {
	snap, t := q.mu.view.snap, &s.Conn.Target
	if snap == nil {
		return false
	}
	n := snap.Node(t.Node)
	if !s.ahead.IsZero() {
		return !q.awaitedLocked(s.ahead) || n == nil || n.Refused != "" || n.Address != t.Address || !n.StartedAt.Equal(s.ahead)
	}
	switch {
	case q.mu.view.outlived(t):
		return true
	case q.key.Route != routing.Primary:
		return false
	case snap.Primary == "":
		return t.WantStandby && n.Role != topology.RoleStandby || !t.WantStandby && t.Node == q.mu.standIn
	}
	return snap.Primary != t.Node || t.WantStandby
}
