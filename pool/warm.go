package pool

import (
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// hotStandbyParam is what a server of PostgreSQL 14 and later reports of itself.
const hotStandbyParam = "in_hot_standby"

// Warm begins to open connections to the standby that is to be the primary while the door is closed (Hold): as many in each queue with
// Route Primary as it has to the primary, and most in all. It returns how many. They are let in ahead of the role: when the node is the
// primary, and its postmaster the same as ever, they serve; when the door opens and it is not, they are closed. One that cannot be opened
// fails as any other does. Any goroutine.
func (p *Pool) Warm(c topology.ClusterID, n topology.NodeID, most int) int {
	begun := 0
	for _, q := range p.queuesOf(c) {
		if q.key.Route == routing.Primary {
			begun += q.warmAhead(n, most-begun)
		}
	}
	return begun
}

func (q *Queue) warmAhead(id topology.NodeID, most int) int {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	begun := 0
	if sh, postmaster := q.candidateLocked(id); sh != nil {
		for wanted := min(q.primaryServersLocked(), most); sh.total() < wanted && sh.mayDial(q.mu.cfg.Size, now); begun++ {
			d := q.dialLocked(sh, true)
			d.ahead = postmaster
			t.dial(d)
		}
	}
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
	return begun
}

// candidateLocked aims the shelf of a standby that may be the primary next; nil: it may not. Only who is on its way to be a primary is let
// in although it is none.
func (q *Queue) candidateLocked(id topology.NodeID) (sh *shelf, postmaster time.Time) {
	v := q.mu.view
	if q.mu.closed || v.held == event.HoldNone || v.snap == nil || q.pool.limits.hunger.Load() > 0 {
		return nil, postmaster
	}
	n := v.snap.Node(id)
	if n == nil || !n.Usable() || n.Role != topology.RoleStandby || n.StartedAt.IsZero() {
		return nil, postmaster
	}
	sh = q.shelfOfLocked(id)
	sh.aim(backend.Target{
		Cluster: q.key.Cluster, Node: id, Address: n.Address, Incarnation: n.Incarnation, SystemID: n.SystemID, Version: n.Version,
	})
	return sh, n.StartedAt
}

// primaryServersLocked counts the connections to the nodes that serve.
func (q *Queue) primaryServersLocked() int {
	n := 0
	for _, sh := range q.mu.nodes {
		n += sh.live()
	}
	return n
}

// awaitedLocked says whether what was opened ahead is still waited for: only while the door is closed.
func (q *Queue) awaitedLocked(ahead time.Time) bool {
	return !ahead.IsZero() && q.mu.view.held != event.HoldNone
}

// ariseLocked makes an ordinary connection of one that was opened ahead, when its node is the primary. A promotion leaves connections as
// they are; that the server is out of recovery the probe has seen, and all of a server's sessions leave it together. What it reported at
// its login is brought up to date: it would say so itself with its next answer only.
func (q *Queue) ariseLocked(s *Server) {
	snap := q.mu.view.snap
	if s.ahead.IsZero() || snap == nil || snap.Primary != s.Node() {
		return
	}
	n := snap.Node(snap.Primary)
	if n == nil || n.Role != topology.RolePrimary || !n.StartedAt.Equal(s.ahead) {
		return
	}
	s.ahead = time.Time{}
	s.Conn.Target.Incarnation, s.Conn.Target.WantPrimary, s.Conn.HotStandby = n.Incarnation, true, false
	s.Conn.Params = slices.Clone(s.Conn.Params)
	for i := range s.Conn.Params {
		if p := &s.Conn.Params[i]; p.Name == hotStandbyParam {
			p.Value = "off"
		}
	}
}
