package pool

import (
	"cmp"
	"context"
	"math/rand/v2"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// Aside is where a connection is wanted that stands aside from all queues: who opens it keeps it for good, and closes it. It is on no
// shelf, and no size and no limit counts it.
type Aside struct {
	Key      Key
	Rules    routing.Rules
	Parallel int // how many connections are opened to one node at once
}

// Outlook is what a cluster offers to an Aside, until it changes.
type Outlook struct {
	Target  backend.Target   // a node of the route; meaningful when Hold is HoldNone
	Hold    event.HoldReason // why nothing may be opened
	Changed <-chan struct{}  // closed when there is another picture of the cluster; a pause does not close it
}

// Outlook says to which node a connection may be opened now. Any goroutine.
func (p *Pool) Outlook(a Aside) Outlook {
	v := p.viewOf(a.Key.Cluster)
	o := Outlook{Changed: v.replaced}
	d := v.decide(a.Key.Route, a.Rules)
	switch {
	case p.paused.Load().cover(a.Key.Database):
		o.Hold = event.HoldPaused
	case v.held != event.HoldNone && a.Key.Route == routing.Primary:
		o.Hold = v.held
	case len(d.Nodes) == 0:
		o.Hold = cmp.Or(d.Hold, noNode(a.Key.Route))
	default:
		id := d.Nodes[rand.IntN(len(d.Nodes))] //nolint:gosec // it spreads load and keeps no secret
		o.Target = v.target(a.Key, v.snap.Node(id))
	}
	return o
}

// OpenAside opens a connection to the target of an Outlook, which may have to wait for its turn at the node. Any goroutine that may block.
func (p *Pool) OpenAside(ctx context.Context, a Aside, t backend.Target) (*backend.Conn, error) {
	gate := p.gateOf(t.Cluster, t.Node)
	if err := gate.enter(ctx, a.Parallel, t.Incarnation); err != nil {
		return nil, err
	}
	conn, err := p.dialer.Dial(ctx, t, a.Key)
	if err == nil {
		gate.leave(dialWell)
		return conn, nil
	}
	gate.leave(resultOf(err))
	if !refusesForGood(err) && ctx.Err() == nil {
		p.signals.NodeTrouble(t.Cluster, t.Node, err)
	}
	return nil, err
}

// Fits reports whether a connection aside still leads to a node of its route: not to one in another life, nor to a former primary when
// there is another. changed is closed when that may be answered otherwise. Any goroutine.
func (p *Pool) Fits(t backend.Target, route routing.Route) (fits bool, changed <-chan struct{}) {
	v := p.viewOf(t.Cluster)
	fits = !v.outlived(&t) && (route != routing.Primary || v.snap.Primary == "" || v.snap.Primary == t.Node)
	return fits, v.replaced
}

// viewOf returns the view of a cluster that is in force.
func (p *Pool) viewOf(c topology.ClusterID) *clusterView {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clusterLocked(c).view.Load()
}

// target describes a node of the view to who opens a connection there.
func (v *clusterView) target(k Key, n *topology.Node) backend.Target {
	primary := n.ID == v.snap.Primary
	return backend.Target{
		Cluster: k.Cluster, Node: n.ID, Address: n.Address, Incarnation: n.Incarnation, SystemID: n.SystemID,
		WantPrimary: k.Route == routing.Primary && primary, WantStandby: k.Route == routing.Primary && !primary, Version: n.Version,
	}
}

// outlived reports whether a target is a node in another life or at another address, or none of the cluster's any more.
func (v *clusterView) outlived(t *backend.Target) bool {
	n := v.snap.Node(t.Node)
	return n == nil || n.Refused != "" || n.Incarnation != t.Incarnation || n.Address != t.Address
}
