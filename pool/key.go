package pool

import (
	"cmp"
	"fmt"

	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// Key is the identity of a queue: what a server connection cannot change once it is open, and by what it is counted. As in
// PgBouncer two names for one database of the servers have queues, limits and pauses of their own.
type Key struct {
	Cluster        topology.ClusterID
	Route          routing.Route
	Database       string // the name that clients use
	ServerDatabase string // the name on the servers, when that is another; "" otherwise
	User           string // whom the server sees
	Options        string // canonical encoding of the start-up parameters that no SET can change
	Replication    string // "" for ordinary sessions
	ReadOnly       bool   // without a primary its work goes to a standby (no_primary = "read-only"); on Route Primary only
}

// OnServer returns the name that the database has on the servers.
func (k Key) OnServer() string { return cmp.Or(k.ServerDatabase, k.Database) }

// String names the queue for logs and errors.
func (k Key) String() string {
	return fmt.Sprintf("%s %s %s@%s", k.Cluster, k.Route, k.User, k.Database)
}

// identity is what a queue is found by: two listeners with other rules for the same route do not share one.
type identity struct {
	key   Key
	rules routing.Rules
}
