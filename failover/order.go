package failover

import (
	"context"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// HoldOrder asks that no new unit of work begins on a cluster's primary for a while.
type HoldOrder struct {
	ID    string        // whose hold it is: a second order with the same ID renews the first
	By    string        // who asks, for the log and the pages: "operator", the name of a peer…
	Lease time.Duration // when it ends by itself, whatever happens: nothing is held for ever
	Wait  time.Duration // how long the answer may wait for running units to end; 0: it does not
}

// Held is what became of a HoldOrder.
type Held struct {
	Until    time.Time // when the hold ends by itself
	Drained  bool      // nothing runs on the primary any more
	Blockers []Blocker // what still does, the oldest first, at most BlockersTold
}

// BlockersTold is how many blockers are told at most.
const BlockersTold = 20

// Blocker is a client whose unit of work keeps a server connection of the primary.
type Blocker struct {
	Client      uint64        `json:"client"` // its number in SHOW CLIENTS
	Database    string        `json:"database"`
	User        string        `json:"user"`
	Application string        `json:"application_name"`
	State       string        `json:"state"` // as in SHOW CLIENTS; "pinned" with its reason
	For         time.Duration `json:"for_ns"`
}

// Agents asks a cluster's own manager, Patroni, to move the primary. It returns when the manager has taken the order, or has refused it: an
// error that wraps ErrRefused says that nothing was begun, any other leaves that open.
type Agents interface {
	// Configured reports whether there is a manager at all.
	Configured() bool
	// Switchover moves the primary from a node to another; to "" = whom the manager chooses.
	Switchover(ctx context.Context, from, to topology.NodeID) error
	// Failover makes a node the primary where nobody is.
	Failover(ctx context.Context, to topology.NodeID) error
}

// Peers are the other routers in front of the same cluster.
type Peers interface {
	// Hold asks all of them at once. One that cannot be reached is in the answers with its error.
	Hold(ctx context.Context, cluster topology.ClusterID, order HoldOrder) []PeerHeld
	// Release ends the holds of that ID. Who cannot be reached forgets them with their lease.
	Release(ctx context.Context, cluster topology.ClusterID, id string)
}

// PeerHeld is a peer's answer to a HoldOrder.
type PeerHeld struct {
	Peer string
	Held
	Err error // it could not be asked, or did not do it
}
