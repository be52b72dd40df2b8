package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	Peer        string        `json:"peer,omitempty"` // the router that it is a client of; "" = this one
	Client      uint64        `json:"client"`         // its number in SHOW CLIENTS
	Database    string        `json:"database"`
	User        string        `json:"user"`
	Application string        `json:"application_name"`
	State       string        `json:"state"` // as in SHOW CLIENTS; "pinned" with its reason
	For         time.Duration `json:"for_ns"`
}

// What Agents say of an order that came to nothing. Any other error leaves open what has become of it.
var (
	ErrRefused = errors.New("refused")            // nothing was begun
	ErrFailed  = errors.New("it came to nothing") // the manager has given it up
)

// Agents asks a cluster's own manager, Patroni, to move the primary. It returns when the manager has done it, or has refused it: see
// ErrRefused and ErrFailed. It may return only long after the new primary is proven.
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

// BlockedError says that running units of work did not end. Nothing was touched, and everything is released.
type BlockedError struct {
	Within   time.Duration // how long they were waited for
	Blockers []Blocker     // the oldest first, at most BlockersTold
}

// blockersNamed is how many blockers an error's text has.
const blockersNamed = 3

// Error names some of them.
func (e *BlockedError) Error() string {
	var names []string
	for _, b := range e.Blockers[:min(len(e.Blockers), blockersNamed)] {
		names = append(names, b.String())
	}
	if more := len(e.Blockers) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	text := fmt.Sprintf("running units did not end within %s, nothing was touched", e.Within)
	if len(names) == 0 {
		return text
	}
	return text + ": " + strings.Join(names, ", ")
}

// String tells who it is in a few words.
func (b Blocker) String() string {
	text := fmt.Sprintf("client %d (%s@%s", b.Client, b.User, b.Database)
	if b.Application != "" {
		text += ", " + b.Application
	}
	if b.Peer != "" {
		text += ", at the router " + b.Peer
	}
	return text + fmt.Sprintf(") %s for %s", b.State, b.For.Round(time.Millisecond))
}
