package pool

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// laggards says, by the limits that queues of a cluster have, which standbys are too far behind. It is part of the cluster's view, so that
// all queues, and what is told, agree on it.
type laggards map[routing.LagLimit][]routing.Laggard

// judgeLag judges the standbys of a view by the limits of the cluster's queues. Those of nobody are forgotten.
func judgeLag(v *clusterView, queues []*Queue, before laggards) laggards {
	now := make(laggards)
	for _, q := range queues {
		limit := q.rules.MaxLag
		if _, known := now[limit]; limit != (routing.LagLimit{}) && !known {
			now[limit] = routing.Laggards(limit, v.snap, before[limit])
		}
	}
	return now
}

// each calls f for every standby that is shut out, and the limit for which it is.
func (l laggards) each(f func(routing.LagLimit, routing.Laggard)) {
	for limit, all := range l {
		for _, late := range all {
			f(limit, late)
		}
	}
}

// excepted returns the nodes that get no reads under the rules.
func (v *clusterView) excepted(rules routing.Rules) []topology.NodeID {
	late, known := v.lagging[rules.MaxLag]
	if !known {
		late = routing.Laggards(rules.MaxLag, v.snap, nil)
	}
	nodes := v.reads.idlers()
	for _, l := range late {
		nodes = append(nodes, l.Node)
	}
	return nodes
}

// decide routes by the view.
func (v *clusterView) decide(route routing.Route, rules routing.Rules) routing.Decision {
	return routing.Decide(route, rules, v.snap, v.excepted(rules))
}

// Decide says where a unit of work of a cluster could go now, for all that the pool knows. Any goroutine.
func (p *Pool) Decide(c topology.ClusterID, route routing.Route, rules routing.Rules) routing.Decision {
	return p.viewOf(c).decide(route, rules)
}

// tellLag tells which standbys have been shut out or let in again from one view of a cluster to the next. Of what nobody knows, as at the
// start, nothing is told.
func (p *Pool) tellLag(before, now *clusterView) {
	now.lagging.each(func(limit routing.LagLimit, l routing.Laggard) {
		if l.Known && !among(before.lagging[limit], l.Node) {
			p.emitLag(event.StandbyLagging, now.snap, limit, l)
		}
	})
	before.lagging.each(func(limit routing.LagLimit, l routing.Laggard) {
		_, judged := now.lagging[limit]
		n := now.snap.Node(l.Node)
		if l.Known && judged && !among(now.lagging[limit], l.Node) && n != nil && n.Role == topology.RoleStandby {
			p.emitLag(event.StandbyCaughtUp, now.snap, limit, l)
		}
	})
}

// among reports whether a node is known to lag.
func among(all []routing.Laggard, node topology.NodeID) bool {
	return slices.ContainsFunc(all, func(l routing.Laggard) bool { return l.Known && l.Node == node })
}

func (p *Pool) emitLag(kind event.Kind, snap *topology.Snapshot, limit routing.LagLimit, l routing.Laggard) {
	n := snap.Node(l.Node)
	e := event.Event{Time: p.wallClock(), Kind: kind, Cluster: string(snap.Cluster), Node: string(l.Node), Reason: lagText(n, limit)}
	if kind == event.StandbyCaughtUp {
		e.Took = snap.At.Sub(l.Since)
	}
	p.events.Emit(e)
}

// lagText says how far a standby lags, of what is limited.
func lagText(n *topology.Node, limit routing.LagLimit) string {
	var parts []string
	add := func(known bool, lag, most any) {
		if !known {
			lag = "an unknown lag"
		}
		parts = append(parts, fmt.Sprintf("%v of %v", lag, most))
	}
	if limit.Bytes > 0 {
		add(n.LagKnown, fmt.Sprintf("%d bytes", n.LagBytes), limit.Bytes)
	}
	if limit.Time > 0 {
		add(n.LagTimeKnown, n.LagTime.Round(time.Millisecond), limit.Time)
	}
	return strings.Join(parts, ", ")
}
