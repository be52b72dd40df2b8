package routing

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgrouter/pgrouter/topology"
)

// behind makes a standby b of which both lags are known.
func behind(bytes uint64, lag time.Duration) topology.Node {
	n := lagging(node("b", standby, up), bytes)
	n.LagTime, n.LagTimeKnown = lag, true
	return n
}

func TestWhoLagsIsShutOutUntilItLagsClearlyLess(t *testing.T) {
	unknown := node("b", standby, up)
	ill := behind(10, 0)
	ill.Health = suspect
	promoted := behind(500, time.Hour)
	promoted.Role = writer
	limit := LagLimit{Bytes: 100, Time: 8 * time.Second}
	for _, row := range []struct {
		sentence string
		limit    LagLimit
		node     topology.Node
		was      bool
		want     bool
	}{
		{"at the limits it stays", limit, behind(100, 8*time.Second), false, false},
		{"above the one in bytes it goes", limit, behind(101, 0), false, true},
		{"above the one in time it goes", limit, behind(0, 8*time.Second+1), false, true},
		{"one that went stays out at the limits", limit, behind(100, 8*time.Second), true, true},
		{"… above three quarters of the one in bytes", limit, behind(76, 0), true, true},
		{"… above three quarters of the one in time", limit, behind(0, 6*time.Second+1), true, true},
		{"at three quarters it comes back", limit, behind(75, 6*time.Second), true, false},
		{"a limit of one byte can be come back under", LagLimit{Bytes: 1}, behind(1, 0), true, false},
		{"what is not known is too much", limit, unknown, false, true},
		{"… for a limit in time too", LagLimit{Time: time.Hour}, lagging(unknown, 1), false, true},
		{"a lag that has no limit need not be known", LagLimit{Bytes: 100}, lagging(unknown, 1), false, false},
		{"without limits nobody lags", LagLimit{}, behind(1<<60, time.Hour), true, false},
		{"what does not answer is not judged: it stays out", limit, ill, true, true},
		{"… or in", limit, ill, false, false},
		{"a primary does not lag", limit, promoted, true, false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			var before []Laggard
			if row.was {
				before = []Laggard{{Node: "b", Since: time.Unix(1, 0), Known: true}}
			}
			snap := snapshot(topology.PhaseSteady, "a", node("a", writer, up), row.node)
			snap.At = time.Unix(2, 0)
			got := Laggards(row.limit, snap, before)
			if (len(got) == 1) != row.want || len(got) > 1 {
				t.Fatalf("got %+v", got)
			}
			if row.want && got[0].Since.Before(snap.At) != row.was {
				t.Errorf("since %v", got[0].Since)
			}
		})
	}
}

func TestALagThatWasNotKnownIsForgottenAtTheLimit(t *testing.T) {
	limit := LagLimit{Bytes: 100}
	snap := snapshot(topology.PhaseSteady, "a", node("a", writer, up), node("b", standby, up))
	first := Laggards(limit, snap, nil)
	if len(first) != 1 || first[0].Known {
		t.Fatalf("%+v", first)
	}
	snap.Nodes[1] = behind(90, 0)
	if got := Laggards(limit, snap, first); len(got) > 0 {
		t.Errorf("it never lagged, and is shut out for it: %+v", got)
	}
}

func TestWhoLagsDoesNotDependOnHowOftenOneLooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := LagLimit{Bytes: uint64(rapid.IntRange(0, 20).Draw(t, "bytes")), Time: time.Duration(rapid.IntRange(0, 20).Draw(t, "time"))}
		var known []Laggard
		for range 10 {
			n := behind(uint64(rapid.IntRange(0, 30).Draw(t, "bytes behind")), time.Duration(rapid.IntRange(0, 30).Draw(t, "behind")))
			n.Health = topology.Health(rapid.IntRange(1, 3).Draw(t, "health"))
			n.LagKnown, n.LagTimeKnown = rapid.Bool().Draw(t, "bytes known"), rapid.Bool().Draw(t, "time known")
			snap := snapshot(topology.PhaseSteady, "a", n)
			was := len(known) > 0
			known = Laggards(limit, snap, known)
			again := Laggards(limit, snap, known)
			is := len(known) > 0
			switch {
			case is != (len(again) > 0) || is && known[0] != again[0]:
				t.Fatalf("%+v, looked at again %+v", known, again)
			case n.Health != up:
				if is != was {
					t.Fatalf("judged although it is %s", n.Health)
				}
			case limit.exceeded(&n) && !is:
				t.Fatalf("%+v is within %+v", n, limit)
			case !limit.lowered().exceeded(&n) && is:
				t.Fatalf("%+v is shut out under %+v", n, limit)
			}
		}
	})
}
