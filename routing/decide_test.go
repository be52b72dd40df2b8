package routing

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

func node(id string, role topology.Role, health topology.Health) topology.Node {
	return topology.Node{ID: topology.NodeID(id), Role: role, Health: health}
}

func lagging(n topology.Node, bytes uint64) topology.Node {
	n.LagBytes, n.LagKnown = bytes, true
	return n
}

func refused(n topology.Node) topology.Node {
	n.Refused = "of another cluster"
	return n
}

func tagged(n topology.Node, tags topology.Tags) topology.Node {
	n.Tags = tags
	return n
}

func snapshot(phase topology.Phase, primary string, nodes ...topology.Node) *topology.Snapshot {
	return &topology.Snapshot{Phase: phase, Primary: topology.NodeID(primary), Nodes: nodes}
}

// decide decides for who remembers nothing of the lags before.
func decide(route Route, rules Rules, snap *topology.Snapshot) Decision {
	var except []topology.NodeID
	for _, l := range Laggards(rules.MaxLag, snap, nil) {
		except = append(except, l.Node)
	}
	return Decide(route, rules, snap, except)
}

const (
	up      = topology.HealthUp
	suspect = topology.HealthSuspect
	down    = topology.HealthDown
	writer  = topology.RolePrimary
	standby = topology.RoleStandby
)

func TestDecide(t *testing.T) {
	steady := snapshot(topology.PhaseSteady, "a", node("a", writer, up), lagging(node("b", standby, up), 10), lagging(node("c", standby, up), 1000))
	alone := snapshot(topology.PhaseSteady, "a", node("a", writer, up), node("b", standby, suspect), node("c", standby, down), refused(node("d", standby, up)))
	headless := snapshot(topology.PhaseLeaderless, "", node("a", writer, up), node("b", standby, up))
	exempt := snapshot(topology.PhaseSteady, "a",
		tagged(node("a", writer, up), topology.Tags{NoLoadBalance: true}),
		tagged(node("b", standby, up), topology.Tags{NoLoadBalance: true}),
		tagged(node("c", standby, up), topology.Tags{NoStream: true}),
		tagged(node("d", standby, up), topology.Tags{NoFailover: true, ReplicateFrom: "c"}))
	none := snapshot(topology.PhaseSteady, "a", exempt.Nodes[:3]...)
	split := snapshot(topology.PhaseSplit, "", node("a", writer, up), node("b", writer, up), node("c", standby, up))
	for _, row := range []struct {
		sentence string
		route    Route
		rules    Rules
		snap     *topology.Snapshot
		want     string
		hold     event.HoldReason
	}{
		{"writes go to the proven primary", Primary, Rules{}, steady, "a", event.HoldNone},
		{"a writable node that is not proven gets no writes", Primary, Rules{}, headless, "", event.HoldNoPrimary},
		{"in a split nobody gets writes", Primary, Rules{}, split, "", event.HoldSplitBrain},
		{"without a snapshot there is no primary", Primary, Rules{}, nil, "", event.HoldNoPrimary},
		{
			"a primary that is not up gets no writes whatever the snapshot claims", Primary,
			Rules{},
			snapshot(topology.PhaseSteady, "a", node("a", writer, suspect)), "", event.HoldNoPrimary,
		},
		{
			"a standby gets no writes whatever the snapshot claims", Primary,
			Rules{},
			snapshot(topology.PhaseSteady, "a", node("a", standby, up)), "", event.HoldNoPrimary,
		},

		{"reads go to all standbys", Replica, Rules{}, steady, "b c", event.HoldNone},
		{"a standby too far behind gets no reads", Replica, Rules{MaxLag: LagLimit{Bytes: 100}}, steady, "b", event.HoldNone},
		{"a lag at the limit is fine", Replica, Rules{MaxLag: LagLimit{Bytes: 10}}, steady, "b", event.HoldNone},
		{"a lag that is not known is too much", Replica, Rules{MaxLag: LagLimit{Bytes: 1 << 60}}, headless, "", event.HoldNoReplica},
		{"suspect, down and refused standbys get no reads", Replica, Rules{}, alone, "", event.HoldNoReplica},
		{"reads fall back to the primary where the rules say so", Replica, Rules{FallbackPrimary: true}, alone, "a", event.HoldNone},
		{"reads do not fall back while a standby is there", Replica, Rules{FallbackPrimary: true}, steady, "b c", event.HoldNone},
		{
			"reads do not fall back to a node that is not proven", Replica,
			Rules{FallbackPrimary: true},
			snapshot(topology.PhaseLeaderless, "", node("a", writer, up)), "", event.HoldNoReplica,
		},
		{"reads go on without a primary", Replica, Rules{}, headless, "b", event.HoldNone},
		{"reads go on in a split", Replica, Rules{}, split, "c", event.HoldNone},

		{"prefer-replica takes the standbys", PreferReplica, Rules{}, steady, "b c", event.HoldNone},
		{"prefer-replica takes the primary when no standby is eligible", PreferReplica, Rules{}, alone, "a", event.HoldNone},
		{"prefer-replica takes the primary when all standbys lag", PreferReplica, Rules{MaxLag: LagLimit{Bytes: 1}}, steady, "a", event.HoldNone},
		{"prefer-replica holds when there is neither", PreferReplica, Rules{}, snapshot(topology.PhaseUnknown, ""), "", event.HoldNoReplica},

		{"standbys that are not for balanced reads get none", Replica, Rules{}, exempt, "d", event.HoldNone},
		{"where no other standby is left reads wait", Replica, Rules{}, none, "", event.HoldNoReplica},
		{"… or go to the primary", PreferReplica, Rules{}, none, "a", event.HoldNone},
		{"any leaves them out too, but not the primary", Any, Rules{}, exempt, "a d", event.HoldNone},
		{"a primary gets writes whatever its tags", Primary, Rules{}, exempt, "a", event.HoldNone},

		{"any takes all that are up", Any, Rules{}, steady, "a b c", event.HoldNone},
		{"any leaves out a writable node that is not proven", Any, Rules{}, headless, "b", event.HoldNone},
		{"any leaves out both sides of a split", Any, Rules{}, split, "c", event.HoldNone},
		{"any holds when nobody is up", Any, Rules{}, snapshot(topology.PhaseLeaderless, "", node("a", writer, down)), "", event.HoldNoReplica},
		{"a route that does not exist leads nowhere", Route(9), Rules{}, steady, "", event.HoldNoPrimary},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			got := decide(row.route, row.rules, row.snap)
			text := strings.Trim(fmt.Sprint(got.Nodes), "[]")
			if text != row.want || got.Hold != row.hold {
				t.Errorf("got %q, hold %s; want %q, %s", text, got.Hold, row.want, row.hold)
			}
		})
	}
}

func TestNoSnapshotLetsWorkGoWhereItMayNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap := &topology.Snapshot{
			Phase:   topology.Phase(rapid.IntRange(0, 4).Draw(t, "phase")),
			Primary: topology.NodeID(rapid.SampledFrom([]string{"", "a", "b", "c", "gone"}).Draw(t, "primary")),
		}
		for _, id := range []string{"a", "b", "c"} {
			n := node(id, topology.Role(rapid.IntRange(0, 2).Draw(t, "role")), topology.Health(rapid.IntRange(0, 3).Draw(t, "health")))
			n.Refused = rapid.SampledFrom([]string{"", "", "no"}).Draw(t, "refused")
			n.Tags = topology.Tags{NoLoadBalance: rapid.IntRange(0, 3).Draw(t, "noloadbalance") == 0, NoStream: rapid.IntRange(0, 3).Draw(t, "nostream") == 0}
			n.LagKnown, n.LagBytes = rapid.Bool().Draw(t, "lag known"), uint64(rapid.IntRange(0, 20).Draw(t, "lag"))
			snap.Nodes = append(snap.Nodes, n)
		}
		route := Route(rapid.IntRange(0, 3).Draw(t, "route"))
		rules := Rules{MaxLag: LagLimit{Bytes: uint64(rapid.IntRange(0, 20).Draw(t, "max lag"))}, FallbackPrimary: rapid.Bool().Draw(t, "fallback")}
		judge(t, route, rules, snap, decide(route, rules, snap))
	})
}

func judge(t *rapid.T, route Route, rules Rules, snap *topology.Snapshot, got Decision) {
	if (len(got.Nodes) == 0) != (got.Hold != event.HoldNone) {
		t.Fatalf("%v: nodes and hold do not fit", got)
	}
	for i, id := range got.Nodes {
		n := snap.Node(id)
		switch {
		case n == nil, n.Health != up, n.Refused != "", slices.Contains(got.Nodes[:i], id):
			t.Fatalf("%s leads to %s: %+v", route, id, n)
		case n.Role == writer && id != snap.Primary:
			t.Fatalf("%s leads to %s, which is not the proven primary", route, id)
		case route == Primary && n.Role != writer:
			t.Fatalf("writes go to the %s %s", n.Role, id)
		case n.Role == standby && rules.MaxLag.Bytes > 0 && (!n.LagKnown || n.LagBytes > rules.MaxLag.Bytes):
			t.Fatalf("%s leads to %s, which lags", route, id)
		case n.Role == standby && (n.Tags.NoLoadBalance || n.Tags.NoStream):
			t.Fatalf("%s leads to %s, which is tagged %+v", route, id, n.Tags)
		case route == Replica && n.Role == writer && !rules.FallbackPrimary:
			t.Fatalf("reads fall back to %s against the rules", id)
		}
	}
	n := snap.PrimaryNode()
	standsIn := (route == Replica || route == PreferReplica) && len(got.Nodes) == 1 && n != nil && got.Nodes[0] == n.ID && n.Role == writer
	if got.Fallback != standsIn {
		t.Fatalf("%s leads to %v, of whom one stands in: %v", route, got.Nodes, got.Fallback)
	}
	if route == Primary && len(got.Nodes) > 1 {
		t.Fatalf("writes go to %v", got.Nodes)
	}
}

func TestRoutesAndBalancesAreSpelledAsInTheConfiguration(t *testing.T) {
	for r := Primary; r <= Any; r++ {
		var back Route
		if err := back.UnmarshalText([]byte(r.String())); err != nil || back != r {
			t.Errorf("%s: %v, %v", r, back, err)
		}
	}
	for b := LeastConnections; b <= RoundRobin; b++ {
		var back Balance
		if err := back.UnmarshalText([]byte(b.String())); err != nil || back != b {
			t.Errorf("%s: %v, %v", b, back, err)
		}
	}
	if _, err := ParseRoute("Primary"); err == nil {
		t.Error("a route in capitals is read")
	}
	if _, err := ParseBalance(""); err == nil {
		t.Error("an empty balance is read")
	}
	if Route(9).String() != "unknown" || Balance(9).String() != "unknown" {
		t.Error("what does not exist has a name")
	}
}
