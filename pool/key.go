package pool

import (
	"fmt"

	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// Key is the identity of a queue: what a server connection cannot change once it is open. Database and User are those that
// the server sees.
type Key struct {
	Cluster     topology.ClusterID
	Route       routing.Route
	Database    string
	User        string
	Options     string // canonical encoding of the start-up parameters that no SET can change
	Replication string // "" for ordinary sessions
}

// String names the queue for logs and errors.
func (k Key) String() string {
	return fmt.Sprintf("%s %s %s@%s", k.Cluster, k.Route, k.User, k.Database)
}

// identity is what a queue is found by: two listeners with other rules for the same route do not share one.
type identity struct {
	key   Key
	rules routing.Rules
}
