package routing

import (
	"slices"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// Rules are what a listener adds to its route.
type Rules struct {
	MaxLag          LagLimit // a standby further behind gets no work, see Laggards
	FallbackPrimary bool     // Replica goes to the primary when no standby is eligible
	FallbackMax     int      // of a pool's size, in percent, that reads may have on a primary that stands in for standbys; 0: all of it
	Balance         Balance  // how the pool chooses among eligible nodes
}

// Decision is where a unit may go. Either Nodes is not empty, or Hold says why there is none. The nodes are equally good, in
// the snapshot's order; the slice belongs to the caller.
type Decision struct {
	Nodes    []topology.NodeID
	Hold     event.HoldReason
	Fallback bool // the node is a primary that stands in for standbys, because there is none
}

// Decide says where a unit of work may go. Nodes among except get no reads, but for a primary that takes the place of
// missing standbys. A nil snapshot has no nodes.
func Decide(route Route, rules Rules, snap *topology.Snapshot, except []topology.NodeID) Decision {
	if snap == nil {
		snap = &topology.Snapshot{}
	}
	switch route {
	case Primary:
		return orElse(primary(snap), noPrimary(snap))
	case Replica:
		d := orElse(replicas(snap, except), event.HoldNoReplica)
		if d.Hold != event.HoldNone && rules.FallbackPrimary {
			d = fallBack(snap)
		}
		return d
	case PreferReplica:
		d := orElse(replicas(snap, except), event.HoldNoReplica)
		if d.Hold != event.HoldNone {
			d = fallBack(snap)
		}
		return d
	case Any:
		return orElse(append(without(primary(snap), except), replicas(snap, except)...), event.HoldNoReplica)
	}
	return Decision{Hold: noPrimary(snap)}
}

func orElse(nodes []topology.NodeID, why event.HoldReason) Decision {
	if len(nodes) == 0 {
		return Decision{Hold: why}
	}
	return Decision{Nodes: nodes}
}

// fallBack sends reads to the primary for want of a standby.
func fallBack(snap *topology.Snapshot) Decision {
	d := orElse(primary(snap), event.HoldNoReplica)
	d.Fallback = d.Hold == event.HoldNone
	return d
}

// primary returns the node that may take writes, if there is one.
func primary(snap *topology.Snapshot) []topology.NodeID {
	n := snap.PrimaryNode()
	if n == nil || !n.Usable() || n.Role != topology.RolePrimary {
		return nil
	}
	return []topology.NodeID{n.ID}
}

func noPrimary(snap *topology.Snapshot) event.HoldReason {
	if snap.Phase == topology.PhaseSplit {
		return event.HoldSplitBrain
	}
	return event.HoldNoPrimary
}

// replicas returns the standbys that are up, not refused, not tagged otherwise and not excepted.
func replicas(snap *topology.Snapshot, except []topology.NodeID) []topology.NodeID {
	var nodes []topology.NodeID
	for i := range snap.Nodes {
		n := &snap.Nodes[i]
		if n.Usable() && n.Role == topology.RoleStandby && n.ID != snap.Primary && balanced(n.Tags) {
			nodes = append(nodes, n.ID)
		}
	}
	return without(nodes, except)
}

// without returns nodes, which are its own now, but for those excepted.
func without(nodes, except []topology.NodeID) []topology.NodeID {
	return slices.DeleteFunc(nodes, func(id topology.NodeID) bool { return slices.Contains(except, id) })
}

// balanced reports whether reads may be spread to a node with the tags, as Patroni's own health checks have it; one that does not stream
// is behind by whole segments.
func balanced(tags topology.Tags) bool { return !tags.NoLoadBalance && !tags.NoStream }
