package routing

import "github.com/pgrouter/pgrouter/topology"

// StandIn returns the node that serves reads in the place of a primary that there is not; "" while there is a proven one, or no node is
// fit: the usable standby that has replayed the most on the newest timeline, or keep, as long as that is one of them, so that work does
// not wander. Nodes among except are not. Only a node in recovery will do, for it cannot write whatever a client says:
// default_transaction_read_only is but a default, and a client that begins a transaction READ WRITE would write to a node that nobody has
// proven.
func StandIn(snap *topology.Snapshot, except []topology.NodeID, keep topology.NodeID) topology.NodeID {
	if snap == nil || snap.Primary != "" {
		return ""
	}
	var best *topology.Node
	for _, id := range replicas(snap, except) {
		n := snap.Node(id)
		if id == keep {
			return keep
		}
		if best == nil || fresher(n, best) {
			best = n
		}
	}
	if best == nil {
		return ""
	}
	return best.ID
}

// fresher reports whether a shows a later state than b.
func fresher(a, b *topology.Node) bool {
	if a.Timeline != b.Timeline {
		return a.Timeline > b.Timeline
	}
	return a.ReplayLSN > b.ReplayLSN
}
