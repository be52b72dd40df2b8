package discovery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// remade is a cluster that was steady, and whose only writable node has another identity now.
func remade(t *testing.T, dir string) *stage {
	t.Helper()
	s := play(t, func(c *Config, _ *Deps) { c.StateDir = dir })
	s.steady()
	synctest.Wait()
	s.prober.node("b").fails(topology.OutcomeRefused)
	s.prober.node("a").set(topology.Observation{Outcome: topology.OutcomeAnswered, Role: topology.RolePrimary, SystemID: 8, Timeline: 1})
	after(2 * time.Second)
	s.expect(topology.PhaseLeaderless, "", 1)
	return s
}

func TestWhatIsAcceptedIsWrittenBeforeItIsAnswered(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := remade(t, dir)
		defer s.close()
		if err := s.Accept(t.Context(), topology.Acceptance{SystemID: 8, Timeline: 1}); err != nil {
			t.Fatal(err)
		}
		if floor, err := storeIn(dir).load(); err != nil || floor.SystemID != 8 {
			t.Errorf("the file has %+v, %v", floor, err)
		}
		s.expect(topology.PhaseSteady, "a", 2)
	})
}

func TestAnAcceptanceThatNamesAnotherClusterChangesNothing(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := remade(t, dir)
		defer s.close()
		err := s.Accept(t.Context(), topology.Acceptance{SystemID: 9, Timeline: 1})
		if err == nil || !strings.Contains(err.Error(), "a (system identifier 8, timeline 1)") {
			t.Errorf("the error: %v", err)
		}
		if floor, err := storeIn(dir).load(); err != nil || floor.SystemID != testSystem {
			t.Errorf("the file has %+v, %v", floor, err)
		}
		s.expect(topology.PhaseLeaderless, "", 1)
	})
}

func TestAnAcceptanceThatCannotBeWrittenSaysSo(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := remade(t, dir)
		defer s.close()
		obstacle := filepath.Join(dir, "main.json.new", "x")
		if err := os.MkdirAll(obstacle, 0o700); err != nil {
			t.Fatal(err)
		}
		err := s.Accept(t.Context(), topology.Acceptance{})
		if err == nil || !strings.Contains(err.Error(), "is accepted, but a restart forgets it") {
			t.Errorf("the error: %v", err)
		}
		s.expect(topology.PhaseSteady, "a", 2)
		if err := os.RemoveAll(filepath.Dir(obstacle)); err != nil {
			t.Fatal(err)
		}
		after(2 * keeperRetry)
		if floor, err := storeIn(dir).load(); err != nil || floor.SystemID != 8 || floor.Timeline != 1 {
			t.Errorf("the file has %+v, %v", floor, err)
		}
	})
}

func TestWhoWaitsForAFloorIsToldAlsoWhenANewerTakesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(play(t, nil).Manager)
		told := make(chan error, 1)
		k.offer(topology.Floor{SystemID: 8}, told)
		k.offer(topology.Floor{SystemID: 8, Timeline: 1})
		k.close()
		k.run()
		select {
		case err := <-told:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("nobody is told")
		}
	})
}
