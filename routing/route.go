package routing

import "fmt"

// Route is what a listener promises its clients.
type Route uint8

// The routes.
const (
	Primary       Route = iota // the one proven primary
	Replica                    // standbys that are fresh enough; the primary only with Rules.FallbackPrimary
	PreferReplica              // such standbys, and the primary when there is none
	Any                        // whatever is up: such standbys and the proven primary alike
)

var routeNames = [...]string{Primary: "primary", Replica: "replica", PreferReplica: "prefer-replica", Any: "any"}

// String returns the route's name as the configuration spells it.
func (r Route) String() string {
	if int(r) < len(routeNames) {
		return routeNames[r]
	}
	return "unknown"
}

// ParseRoute reads a route as the configuration spells it.
func ParseRoute(s string) (Route, error) {
	for i, name := range routeNames {
		if s == name {
			return Route(i), nil
		}
	}
	return 0, fmt.Errorf("unknown route %q: it is one of primary, replica, prefer-replica, any", s)
}

// UnmarshalText reads a route as ParseRoute does.
func (r *Route) UnmarshalText(text []byte) error {
	route, err := ParseRoute(string(text))
	if err != nil {
		return err
	}
	*r = route
	return nil
}

// Balance says how one of several eligible nodes is chosen.
type Balance uint8

// The ways to choose.
const (
	LeastConnections Balance = iota // the node with the fewest linked connections
	RoundRobin                      // one after the other
)

var balanceNames = [...]string{LeastConnections: "least-connections", RoundRobin: "round-robin"}

// String returns the balance's name as the configuration spells it.
func (b Balance) String() string {
	if int(b) < len(balanceNames) {
		return balanceNames[b]
	}
	return "unknown"
}

// ParseBalance reads a balance as the configuration spells it.
func ParseBalance(s string) (Balance, error) {
	for i, name := range balanceNames {
		if s == name {
			return Balance(i), nil
		}
	}
	return 0, fmt.Errorf("unknown balance %q: it is one of least-connections, round-robin", s)
}

// UnmarshalText reads a balance as ParseBalance does.
func (b *Balance) UnmarshalText(text []byte) error {
	balance, err := ParseBalance(string(text))
	if err != nil {
		return err
	}
	*b = balance
	return nil
}
