package routing

import (
	"testing"

	"github.com/pgrouter/pgrouter/topology"
)

func TestAttributesAimAtWhatLibpqMeansByThem(t *testing.T) {
	lag := LagLimit{Bytes: 5}
	rules := Rules{MaxLag: lag, FallbackPrimary: true, FallbackMax: 30, Balance: RoundRobin}
	for value, want := range map[string]struct {
		route Route
		rules Rules
	}{
		"read-write":     {Primary, Rules{}},
		"primary":        {Primary, Rules{}},
		"read-only":      {Replica, Rules{MaxLag: lag, Balance: RoundRobin}},
		"standby":        {Replica, Rules{MaxLag: lag, Balance: RoundRobin}},
		"prefer-standby": {PreferReplica, rules},
	} {
		attrs, ok := ParseSessionAttrs(value)
		for route := Primary; route <= Any; route++ {
			got, gotRules := attrs.Aim(route, rules)
			if !ok || got != want.route || gotRules != want.rules {
				t.Errorf("%s on %s: %s %+v", value, route, got, gotRules)
			}
		}
	}
	follows, ok := ParseSessionAttrs("any")
	for route := Primary; route <= Any; route++ {
		got, gotRules := follows.Aim(route, rules)
		if !ok || got != route || gotRules != rules.On(route) {
			t.Errorf("any on %s: %s %+v", route, got, gotRules)
		}
	}
	for _, bad := range []string{"", "Any", "master", "secondary", "any "} {
		if _, ok := ParseSessionAttrs(bad); ok {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestRulesThatHaveNoEffectOnARouteAreLeftOutOfIt(t *testing.T) {
	snaps := []*topology.Snapshot{
		snapshot(topology.PhaseSteady, "a", node("a", writer, up), lagging(node("b", standby, up), 10)),
		snapshot(topology.PhaseSteady, "a", node("a", writer, up), node("b", standby, down)),
		snapshot(topology.PhaseLeaderless, "", node("a", writer, up)),
	}
	for route := Primary; route <= Any; route++ {
		for _, rules := range []Rules{
			{}, {FallbackPrimary: true}, {FallbackMax: 30}, {MaxLag: LagLimit{Bytes: 5}}, {MaxLag: LagLimit{Bytes: 5}, FallbackPrimary: true, FallbackMax: 30},
		} {
			short := rules.On(route)
			if short.On(route) != short {
				t.Errorf("%s: %+v is not all that can be left out of %+v", route, short, rules)
			}
			for i, snap := range snaps {
				a, b := decide(route, rules, snap), decide(route, short, snap)
				if len(a.Nodes) != len(b.Nodes) || a.Hold != b.Hold || a.Fallback != b.Fallback {
					t.Errorf("%s, picture %d: %+v leads to %+v, and without what has no effect to %+v", route, i, rules, a, b)
				}
			}
		}
	}
}
