package routing

import (
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// Rules are what a listener adds to its route.
type Rules struct {
	MaxLagBytes     uint64  // a standby further behind gets no work; 0: no limit
	FallbackPrimary bool    // Replica goes to the primary when no standby is eligible
	Balance         Balance // how the pool chooses among eligible nodes
}

// Decision is where a unit may go. Either Nodes is not empty, or Hold says why there is none. The nodes are equally good, in
// the snapshot's order; the slice belongs to the caller.
type Decision struct {
	Nodes []topology.NodeID
	Hold  event.HoldReason
}

// Decide says where a unit of work may go. A nil snapshot has no nodes.
func Decide(route Route, rules Rules, snap *topology.Snapshot) Decision {
	if snap == nil {
		snap = &topology.Snapshot{}
	}
	switch route {
	case Primary:
		return orElse(primary(snap), noPrimary(snap))
	case Replica:
		nodes := replicas(rules, snap)
		if len(nodes) == 0 && rules.FallbackPrimary {
			nodes = primary(snap)
		}
		return orElse(nodes, event.HoldNoReplica)
	case PreferReplica:
		nodes := replicas(rules, snap)
		if len(nodes) == 0 {
			nodes = primary(snap)
		}
		return orElse(nodes, event.HoldNoReplica)
	case Any:
		return orElse(append(primary(snap), replicas(rules, snap)...), event.HoldNoReplica)
	}
	return Decision{Hold: noPrimary(snap)}
}

func orElse(nodes []topology.NodeID, why event.HoldReason) Decision {
	if len(nodes) == 0 {
		return Decision{Hold: why}
	}
	return Decision{Nodes: nodes}
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

// replicas returns the standbys that are up, not refused, not tagged otherwise and fresh enough. A lag that is not known is too much for a
// limit.
func replicas(rules Rules, snap *topology.Snapshot) []topology.NodeID {
	var nodes []topology.NodeID
	for i := range snap.Nodes {
		n := &snap.Nodes[i]
		if !n.Usable() || n.Role != topology.RoleStandby || n.ID == snap.Primary || !balanced(n.Tags) {
			continue
		}
		if rules.MaxLagBytes > 0 && (!n.LagKnown || n.LagBytes > rules.MaxLagBytes) {
			continue
		}
		nodes = append(nodes, n.ID)
	}
	return nodes
}

// balanced reports whether reads may be spread to a node with the tags, as Patroni's own health checks have it; one that does not stream
// is behind by whole segments.
func balanced(tags topology.Tags) bool { return !tags.NoLoadBalance && !tags.NoStream }
