package pool

import (
	"slices"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// readOnlyWorld is a queue whose work goes to a standby when there is no primary, with two clients.
func readOnlyWorld(t *testing.T) (w *world, one, two *client) {
	t.Helper()
	w = newWorldOf(t, Key{Cluster: testCluster, Route: routing.Primary, Database: "db", User: "u", ReadOnly: true}, routing.Rules{}, 1, Defaults())
	return w, w.newClient(0), w.newClient(0)
}

// standingIn is such a queue whose client one has a standby, and whose client two has given one back.
func standingIn(t *testing.T) (w *world, one, two *client) {
	t.Helper()
	w, one, two = readOnlyWorld(t)
	w.publish(w.picture("", 1, 1))
	w.elapse(Defaults().NoPrimaryAfter)
	one.acquire()
	two.acquire()
	w.sweep()
	w.dialAll()
	if one.server == nil || two.server == nil || one.server.Node() != "a" {
		t.Fatal("nobody stands in")
	}
	two.release(Clean)
	return w, one, two
}

func (w *world) kinds() []event.Kind {
	var kinds []event.Kind
	for _, e := range w.events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func TestWorkIsHeldForAWhileBeforeAStandbyStandsIn(t *testing.T) {
	w, one, _ := readOnlyWorld(t)
	w.publish(w.picture("a", 1, 1))
	w.elapse(time.Hour)
	w.publish(w.picture("", 2, 1))
	w.events = nil
	one.acquire()
	w.elapse(Defaults().NoPrimaryAfter - 1)
	w.publish(w.picture("", 2, 1)) // another picture without a primary is no other vacancy
	w.sweep()
	if st := w.queue.Stats(); len(w.dials) > 0 || st.StandIn != "" || st.Hold != event.HoldNoPrimary {
		t.Fatalf("%d dials, %+v", len(w.dials), st)
	}
	w.elapse(1)
	w.sweep()
	if st := w.queue.Stats(); st.StandIn != "a" || st.Hold != event.HoldNone {
		t.Fatalf("%+v", st)
	}
	if got := w.events; len(got) != 1 || got[0].Kind != event.ReadOnlyBegun || got[0].Node != "a" || got[0].Reason != "no_primary" || got[0].Count != 1 {
		t.Errorf("told %+v", got)
	}
	w.dialAll()
	if one.server == nil || !one.server.Conn.Target.WantStandby || one.server.Conn.Target.WantPrimary {
		t.Errorf("it has %+v", one.server)
	}
}

func TestAClusterThatComesBackIsAsPatientAsANewOne(t *testing.T) {
	w, one, _ := readOnlyWorld(t)
	w.publish(w.picture("a", 1, 1))
	w.pool.Withdraw(testCluster)
	w.elapse(time.Hour)
	w.snap = nil
	w.publish(w.picture("", 1, 1)) // its standby has answered, its primary not yet
	one.acquire()
	w.sweep()
	if st := w.queue.Stats(); len(w.dials) > 0 || st.StandIn != "" {
		t.Fatalf("%d dials, %+v", len(w.dials), st)
	}
	w.elapse(Defaults().NoPrimaryAfter)
	w.sweep()
	if st := w.queue.Stats(); st.StandIn == "" {
		t.Errorf("%+v", st)
	}
}

func TestWhatWasOpenedAheadStandsInForNobody(t *testing.T) {
	w, one, two := readOnlyWorld(t)
	w.publish(w.picture("b", 1, 1))
	one.acquire()
	w.dialAll()
	w.held = true
	w.pool.Hold(testCluster, event.HoldSwitchover)
	if n := w.pool.Warm(testCluster, "a", 1); n != 1 {
		t.Fatalf("%d connections", n)
	}
	w.arrive()
	w.publish(w.picture("", 1, 1))
	w.elapse(Defaults().NoPrimaryAfter)
	w.held = false
	w.pool.Resume(testCluster)
	w.sweep()
	two.acquire()
	w.dialAll()
	if two.server == nil || !two.server.Conn.Target.WantStandby {
		t.Errorf("it has %+v", two.server)
	}
}

func TestOnlyQueuesThatWantItHaveAStandIn(t *testing.T) {
	w := newWorld(t, routing.Primary, 1, Defaults())
	c := w.newClient(0)
	w.publish(w.picture("", 1, 1))
	c.acquire()
	w.elapse(time.Hour)
	w.sweep()
	if len(w.dials) > 0 || c.server != nil || w.queue.Stats().StandIn != "" {
		t.Error("work for the primary went to a standby that nobody wanted")
	}
}

func TestNobodyKeepsAStandInWhenThereIsAPrimary(t *testing.T) {
	for _, primary := range []topology.NodeID{"a", "b"} {
		w, one, two := standingIn(t)
		w.events = nil
		w.publish(w.picture(primary, 2, 2))
		w.runTasks()
		if one.cuts != 1 || one.server != nil {
			t.Errorf("%s: who had the standby was told %d times", primary, one.cuts)
		}
		if got := w.kinds(); !slices.Equal(got, []event.Kind{event.ReadOnlyOver}) {
			t.Errorf("%s: told %v", primary, got)
		}
		two.acquire()
		w.dialAll()
		if two.server == nil || two.server.Node() != primary || !two.server.Conn.Target.WantPrimary {
			t.Errorf("%s: the next unit has %+v", primary, two.server)
		}
	}
}

func TestAServerThatIsToGoAnywayIsTakenAwayFromWhoKeepsIt(t *testing.T) {
	w, one, _ := standingIn(t)
	one.server.Retire() // its lifetime is over: in session mode that alone changes nothing
	w.publish(w.picture("b", 1, 2))
	w.runTasks()
	if one.cuts != 1 {
		t.Errorf("told %d times", one.cuts)
	}
}

func TestAStandInThatIsPromotedAndNotProvenServesNobody(t *testing.T) {
	w, one, two := standingIn(t)
	split := w.picture("", 1, 1)
	split.Phase = topology.PhaseSplit
	for i := range split.Nodes {
		split.Nodes[i].Role = topology.RolePrimary
	}
	w.publish(split)
	w.runTasks()
	two.acquire()
	w.dialAll()
	if one.cuts != 1 || two.server != nil || w.queue.Stats().Hold != event.HoldSplitBrain {
		t.Errorf("cuts %d, the next has %+v, hold %s", one.cuts, two.server, w.queue.Stats().Hold)
	}
}

func TestConnectionsOfAFormerPrimaryAreNoStandIns(t *testing.T) {
	w, one, two := readOnlyWorld(t)
	w.publish(w.picture("a", 1, 1))
	one.acquire()
	w.dialAll()
	one.release(Clean)
	w.publish(w.picture("", 1, 1)) // it became a standby, and nobody saw it die
	w.elapse(Defaults().NoPrimaryAfter)
	w.sweep()
	two.acquire()
	w.dialAll()
	if two.server == nil || !two.server.Conn.Target.WantStandby {
		t.Errorf("it has %+v", two.server)
	}
}

func TestAnOperatorsHoldComesBeforeAStandIn(t *testing.T) {
	w, _, two := standingIn(t)
	w.pool.Hold(testCluster, event.HoldSwitchover)
	w.held = true
	two.acquire()
	if two.server != nil {
		t.Error("a unit began under a hold")
	}
	w.held = false
	w.pool.Resume(testCluster)
	w.runTasks()
	if two.server == nil {
		t.Error("nobody stands in after the hold")
	}
}
