package admin

import (
	"context"
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/topology"
)

// Actions is what an operator may do. Databases are given by the name that clients use; "" is all of them. Methods may be called from
// any goroutine.
type Actions interface {
	// Pause holds new work for no longer than limit; 0: as configured.
	Pause(database string, limit time.Duration) Pause
	// Resume ends the pauses of a database, "" all that there are; false: there was none.
	Resume(database string) bool
	// Kill pauses a database, closes its clients, and waits until none of its server connections is in use. The pause stays.
	Kill(ctx context.Context, database string, limit time.Duration) error
	// KillClient closes one client by its number; false: there is none.
	KillClient(id uint64) bool
	// Disable lets no new client in, Enable lets them in again; false: it was so before.
	Disable(database string) bool
	Enable(database string) bool
	// Reconnect lets server connections be closed as soon as nobody uses them.
	Reconnect(database string)
	// WaitClose waits until those that Reconnect has found are closed. The error is a *pool.BusyError when ctx ends first.
	WaitClose(ctx context.Context, database string) error
	// Shutdown begins to end the router, and returns at once.
	Shutdown(how Ending)
	// Reload reads the configuration again and puts it in force. It returns what has changed, and what keeps its value until a
	// restart. The error is a *ReloadError when the configuration has faults; nothing has changed then.
	Reload(ctx context.Context) (applied, pending []string, err error)
	// Set changes one setting until the next Reload, checked and put in force as that does it. It returns what has changed. The error is a
	// *pgwire.Error when the setting or its value cannot be; nothing has changed then.
	Set(ctx context.Context, order SettingOrder) (applied []string, err error)
	// Hold lets no new unit of work begin on the primary of a cluster, here and at the other routers in front of it, and waits for those
	// that run. An error that wraps failover.ErrRefused says that nothing is held.
	Hold(ctx context.Context, order HoldOrder) (Held, error)
	// Release ends the holds of a cluster, "" of all, that were ordered under an ID, "" under any. It returns how many there were here.
	Release(ctx context.Context, order ReleaseOrder) (ended int, err error)
	// Switchover moves the primary of a cluster to a node, "" to whom its manager, or the router, chooses. within bounds the wait for running
	// work, 0 as configured. The error is a *failover.BlockedError when that did not end.
	Switchover(ctx context.Context, cluster, to string, within time.Duration) error
	// AcceptCluster moves a cluster's floor to what its writable node says of itself, which must be what is named.
	AcceptCluster(ctx context.Context, cluster string, a topology.Acceptance) error
	// Failover makes a node the primary of a cluster in which nobody is.
	Failover(ctx context.Context, cluster, to string) error
}

// HoldOrder is a failover.HoldOrder for one cluster.
type HoldOrder struct {
	failover.HoldOrder
	Cluster string
	Local   bool // another router has asked, or does so elsewhere: it is not passed on
}

// ReleaseOrder takes back a HoldOrder.
type ReleaseOrder struct {
	Cluster string
	ID      string
	Local   bool
}

// Held is what became of a HoldOrder, here and at the other routers.
type Held struct {
	failover.Held
	Peers []failover.PeerHeld
}

// InTheWay lists whose work still runs, here and at the peers.
func (h *Held) InTheWay() []failover.Blocker {
	all := slices.Clone(h.Blockers)
	for _, p := range h.Peers {
		for _, b := range p.Blockers {
			b.Peer = p.Peer
			all = append(all, b)
		}
	}
	return all
}

// Everywhere reports whether nothing runs on the primary any more, by way of any router. What is not known counts as running.
func (h *Held) Everywhere() bool {
	return h.Drained && !slices.ContainsFunc(h.Peers, func(p failover.PeerHeld) bool { return p.Err != nil || !p.Drained })
}

// SettingOrder is what SET asks for.
type SettingOrder struct {
	Key   string // as in Setting
	Value string // as the environment would have it
	By    string // whose order it is
}

// Pause is a pause in force.
type Pause interface {
	// Wait waits until no server connection of the paused database is in use. The error is a *pool.BusyError when ctx ends first, or
	// says why the pause ended before that: pool.ErrResumed, pool.ErrUndone, pool.ErrPauseOver.
	Wait(ctx context.Context) error
	// Undo ends this pause. The database may be paused by others.
	Undo()
}

// Ending is how the router goes away. A later one is sooner over.
type Ending uint8

// The ways to end.
const (
	EndNot            Ending = iota // it runs
	EndWaitForClients               // nobody is let in any more; when the last client has left by itself it ends
	EndWaitForServers               // the drain: idle clients are closed, the others when their unit of work is over
	EndNow                          // all clients are closed
)

// String returns the ending as PgBouncer's SHUTDOWN names it.
func (e Ending) String() string {
	switch e {
	case EndWaitForClients:
		return "wait_for_clients"
	case EndWaitForServers:
		return "wait_for_servers"
	case EndNow:
		return "at_once"
	case EndNot:
	}
	return "not"
}
