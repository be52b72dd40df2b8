package pool

import (
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/backend"
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
}

// Publish puts another picture of a cluster in force: waiters are routed anew, connections whose node's life, role or address
// is another one are closed (those in use when they are released), connections are opened for those who wait. A snapshot older
// than the one in force is ignored. Any goroutine.
func (p *Pool) Publish(snap *topology.Snapshot) {
	p.change(snap.Cluster, func(v *clusterView) {
		if v.snap == nil || snap.Seq >= v.snap.Seq {
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
	c.view.Store(&next)
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

// turnover is what a refresh has changed for those who wait.
type turnover struct {
	cluster  topology.ClusterID
	from, to event.HoldReason
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
	e := event.Event{Time: p.wallClock(), Cluster: string(c.cluster), Took: c.took, Count: c.waiting}
	if c.to == event.HoldNone {
		e.Kind, e.Reason = event.PoolReleased, c.from.String()
	} else {
		e.Kind, e.Reason = event.PoolHeld, c.to.String()
	}
	p.events.Emit(e)
}

// refresh puts the newest view in force.
func (q *Queue) refresh() turnover {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	c := turnover{cluster: q.key.Cluster, from: q.mu.hold, took: time.Duration(now - q.mu.held), waiting: q.mu.line.n}
	q.viewLocked(now, &t)
	c.to = q.mu.hold
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
	return c
}

// viewLocked routes the queue anew, retires what does not fit any more, and serves who waits.
func (q *Queue) viewLocked(now int64, t *todo) {
	q.mu.view = q.cluster.view.Load()
	stoodIn := q.mu.standIn
	why := q.routeLocked(q.mu.view)
	if stoodIn && !q.mu.standIn && why == event.HoldNone {
		q.leavePrimaryLocked(t)
	}
	if q.mu.hold != why {
		q.mu.hold, q.mu.held = why, now
	}
	for _, sh := range q.mu.shelves {
		sh.doubtful = false
		sh.eachLocked(func(s *Server) {
			q.ariseLocked(s)
			switch {
			case q.staleLocked(s) && !s.retiring.Load():
				q.retireLocked(s, closedStale, t)
			case why == event.HoldPaused && (s.state != stateLinked || s.moving):
				q.retireLocked(s, closedPaused, t)
			}
		})
	}
	q.sateLocked()
	q.fillLocked(now, t)
	q.warmLocked(now, t)
}

// leavePrimaryLocked lets reads leave a primary that stood in for standbys, with the units of work that run there: what is open serves
// nobody any more.
func (q *Queue) leavePrimaryLocked(t *todo) {
	for _, sh := range q.mu.shelves {
		if !sh.eligible && sh.node == q.mu.view.snap.Primary {
			sh.eachLocked(func(s *Server) {
				if !s.retiring.Load() {
					q.retireLocked(s, closedFallback, t)
				}
			})
		}
	}
}

// routeLocked finds the nodes for the queue's route and says why nothing may be handed out, if so.
func (q *Queue) routeLocked(v *clusterView) event.HoldReason {
	for _, sh := range q.mu.nodes {
		sh.eligible = false
	}
	q.mu.nodes = q.mu.nodes[:0]
	q.mu.standIn = false
	why := noNode(q.key.Route)
	if v.snap != nil {
		d := v.decide(q.key.Route, q.rules)
		why = d.Hold
		for _, id := range d.Nodes {
			q.aimLocked(v, id)
		}
		q.mu.standIn = d.StandIn
	}
	switch {
	case q.mu.closed:
		return event.HoldClosing
	case q.pool.paused.Load().cover(q.key.Database):
		return event.HoldPaused
	case v.held != event.HoldNone && q.key.Route == routing.Primary:
		return v.held
	case len(q.mu.nodes) > 0:
		return event.HoldNone
	case why == event.HoldNone:
		return noNode(q.key.Route)
	}
	return why
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
	sh.aim(backend.Target{
		Cluster: q.key.Cluster, Node: id, Address: n.Address, Incarnation: n.Incarnation, SystemID: n.SystemID,
		WantPrimary: q.key.Route == routing.Primary, Version: n.Version,
	})
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
	case n == nil, n.Refused != "", n.Incarnation != t.Incarnation, n.Address != t.Address:
		return true
	case q.key.Route == routing.Primary:
		return snap.Primary != "" && snap.Primary != t.Node
	}
	return false
}
