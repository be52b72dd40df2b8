package routing

import (
	"testing"

	"github.com/pgrouter/pgrouter/topology"
)

// stands is a standby at a position of its log.
func stands(id string, timeline uint32, at topology.LSN) topology.Node {
	n := lagging(node(id, standby, up), 0)
	n.Timeline, n.ReplayLSN = timeline, at
	return n
}

func TestWhoStandsInForAPrimary(t *testing.T) {
	readOnly := node("a", writer, up)
	readOnly.ReadOnly = true
	for _, row := range []struct {
		sentence string
		phase    topology.Phase
		primary  string
		nodes    []topology.Node
		except   []topology.NodeID
		keep     topology.NodeID
		want     topology.NodeID
	}{
		{"the standby that has replayed the most", topology.PhaseLeaderless, "", []topology.Node{stands("a", 1, 5), stands("b", 1, 9)}, nil, "", "b"},
		{"the newest timeline before the furthest position", topology.PhaseLeaderless, "", []topology.Node{stands("a", 2, 5), stands("b", 1, 9)}, nil, "", "a"},
		{"of equals the first", topology.PhaseDoubtful, "", []topology.Node{stands("a", 1, 5), stands("b", 1, 5)}, nil, "", "a"},
		{"who does it goes on", topology.PhaseLeaderless, "", []topology.Node{stands("a", 1, 5), stands("b", 1, 9)}, nil, "a", "a"},
		{"… as long as it is fit", topology.PhaseLeaderless, "", []topology.Node{refused(stands("a", 1, 5)), stands("b", 1, 9)}, nil, "a", "b"},
		{"nobody while there is a primary", topology.PhaseSteady, "a", []topology.Node{node("a", writer, up), stands("b", 1, 9)}, nil, "b", ""},
		{"a standby in a split", topology.PhaseSplit, "", []topology.Node{node("a", writer, up), node("b", writer, up), stands("c", 1, 9)}, nil, "", "c"},
		{"no writable node, whoever claims to be one", topology.PhaseSplit, "", []topology.Node{node("a", writer, up), node("b", writer, up)}, nil, "", ""},
		{"no node that is only by default read-only", topology.PhaseLeaderless, "", []topology.Node{readOnly}, nil, "", ""},
		{"none that is not up", topology.PhaseLeaderless, "", []topology.Node{node("a", standby, suspect), node("b", standby, down)}, nil, "a", ""},
		{"none that is excepted", topology.PhaseLeaderless, "", []topology.Node{stands("a", 1, 1)}, []topology.NodeID{"a"}, "", ""},
		{"none that is not for balanced reads", topology.PhaseLeaderless, "", []topology.Node{tagged(stands("a", 1, 1), topology.Tags{NoLoadBalance: true})}, nil, "", ""},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			if got := StandIn(snapshot(row.phase, row.primary, row.nodes...), row.except, row.keep); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
	if got := StandIn(nil, nil, ""); got != "" {
		t.Errorf("without a snapshot: %q", got)
	}
}
