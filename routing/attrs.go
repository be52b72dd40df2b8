package routing

// SessionAttrs is which nodes a client wants, as libpq's target_session_attrs says it: it is one way to choose the route.
type SessionAttrs uint8

// The attributes.
const (
	AttrsAny           SessionAttrs = iota // what the listener leads to
	AttrsPrimary                           // read-write, primary
	AttrsStandby                           // read-only, standby
	AttrsPreferStandby                     // prefer-standby
)

// ParseSessionAttrs reads a value of target_session_attrs as libpq does; false: there is no such value.
func ParseSessionAttrs(s string) (SessionAttrs, bool) {
	switch s {
	case "any":
		return AttrsAny, true
	case "read-write", "primary":
		return AttrsPrimary, true
	case "read-only", "standby":
		return AttrsStandby, true
	case "prefer-standby":
		return AttrsPreferStandby, true
	}
	return AttrsAny, false
}

// Aim returns the route and the rules of a client that came where others are led by route and rules. Who insists on a standby does not
// get a primary in its place.
func (a SessionAttrs) Aim(route Route, rules Rules) (Route, Rules) {
	switch a {
	case AttrsPrimary:
		route = Primary
	case AttrsStandby:
		route, rules.FallbackPrimary = Replica, false
	case AttrsPreferStandby:
		route = PreferReplica
	case AttrsAny:
	}
	return route, rules.On(route)
}

// On returns the rules without those that have no effect on a route: rules that say the same are equal then.
func (r Rules) On(route Route) Rules {
	switch route {
	case Primary:
		r.MaxLag, r.Balance = LagLimit{}, LeastConnections
	case PreferReplica:
		r.FallbackPrimary = true
	case Replica, Any:
	}
	r.FallbackPrimary = r.FallbackPrimary && (route == Replica || route == PreferReplica)
	if !r.FallbackPrimary {
		r.FallbackMax = 0
	}
	return r
}
