package discovery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/topology"
)

func storeIn(dir string) *floorStore {
	cfg := Defaults()
	cfg.Cluster, cfg.StateDir = "main", dir
	return newFloorStore(cfg)
}

func TestAFloorSurvivesInItsFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there yet")
	s := storeIn(dir)
	if floor, err := s.load(); err != nil || floor != (topology.Floor{}) {
		t.Fatalf("without a file: %+v, %v", floor, err)
	}
	for _, floor := range []topology.Floor{
		{SystemID: 1<<64 - 1, Timeline: 1<<32 - 1, Epoch: 1<<64 - 1, Primary: "/run/pg:5432", Overruled: 3},
		{Epoch: 4, Primary: "a:5432", Overruled: 7}, // an operator accepted a cluster that has no primary yet
		{SystemID: 7, Timeline: 1, Epoch: 1, Primary: "a:5432"},
	} {
		if err := s.save(floor, time.Now()); err != nil {
			t.Fatal(err)
		}
		back, err := s.load()
		if diff := cmp.Diff(floor, back); diff != "" || err != nil {
			t.Errorf("%s%v", diff, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "main.json" {
		t.Errorf("the directory holds %v, %v", entries, err)
	}
	info, err := os.Stat(filepath.Join(dir, "main.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAFailedWriteLeavesTheOldFloor(t *testing.T) {
	dir := t.TempDir()
	s := storeIn(dir)
	floor := topology.Floor{SystemID: 7, Timeline: 1}
	if err := s.save(floor, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "main.json.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.json.new", "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.save(topology.Floor{SystemID: 7, Timeline: 2}, time.Now()); err == nil {
		t.Error("no error")
	}
	if back, err := s.load(); back != floor || err != nil {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestADamagedFloorStopsTheStart(t *testing.T) {
	good, err := formatFloor(topology.Floor{SystemID: 7, Timeline: 2, Epoch: 3, Primary: "a"}, "main", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":           "",
		"cut":             string(good[:len(good)/2]),
		"a later version": strings.Replace(string(good), `"version": 1`, `"version": 2`, 1),
		"no version":      "{}",
		"another cluster": strings.Replace(string(good), "main", "other", 1),
		"no identity":     strings.Replace(string(good), `"7"`, `"x"`, 1),
		"half a floor":    strings.Replace(string(good), `"7"`, `"0"`, 1),
		"no epoch":        strings.Replace(string(good), `"3"`, `"-3"`, 1),
		"too long":        string(good) + strings.Repeat(" ", maxFloorBytes),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := Defaults()
		cfg.Cluster, cfg.StateDir = "main", dir
		_, err := NewManager(cfg, Deps{Sources: []Source{newList("a")}, Prober: &fakeProber{}})
		if err == nil || !strings.Contains(err.Error(), "main.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseFloor(f *testing.F) {
	good, err := formatFloor(topology.Floor{SystemID: 7, Timeline: 2, Epoch: 3, Primary: "a", Overruled: 4}, "main", time.Unix(0, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"cluster":"main","system_identifier":"0","epoch":"0"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		floor, err := parseFloor(text, "main")
		if err != nil {
			if floor != (topology.Floor{}) {
				t.Fatalf("an error and a floor: %+v", floor)
			}
			return
		}
		again, err := formatFloor(floor, "main", time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseFloor(again, "main"); err != nil || back != floor {
			t.Fatalf("%+v became %+v, %v", floor, back, err)
		}
	})
}

func TestARestartedRouterRemembersTheFloor(t *testing.T) {
	dir := t.TempDir()
	inDir := func(cfg *Config, _ *Deps) { cfg.StateDir = dir }
	synctest.Test(t, func(t *testing.T) {
		s := play(t, inDir)
		s.steady()
		synctest.Wait()
		s.prober.node("a").fails(topology.OutcomeRefused)
		s.prober.node("b").primary(2, 1)
		after(2 * time.Second)
		s.expect(topology.PhaseSteady, "b", 2)
		s.close()
	})
	synctest.Test(t, func(t *testing.T) {
		s := play(t, inDir)
		if snap := s.Snapshot(); snap.LastPrimary != "b" || snap.Epoch != 2 || snap.Timeline != 2 || snap.SystemID != testSystem {
			t.Errorf("before Run: %+v", snap)
		}
		s.prober.node("a").primary(1)
		s.prober.node("b").fails(topology.OutcomeRefused)
		s.run()
		defer s.close()
		after(10 * time.Second)
		s.expect(topology.PhaseLeaderless, "", 2)
		if a := s.Snapshot().Node("a"); a.Refused == "" {
			t.Errorf("the old primary is not refused: %+v", a)
		}
		s.prober.node("b").primary(2, 1)
		after(time.Second)
		s.expect(topology.PhaseSteady, "b", 2)
	})
}

func TestADiskThatFailsStopsNothingAndIsTriedAgain(t *testing.T) {
	blocker := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		s := play(t, func(cfg *Config, _ *Deps) { cfg.StateDir = dir })
		if err := os.Symlink(blocker, dir); err != nil {
			t.Fatal(err)
		}
		s.steady()
		synctest.Wait()
		s.expect(topology.PhaseSteady, "a", 1)
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		after(2 * keeperRetry)
		if floor, err := storeIn(dir).load(); err != nil || floor.Timeline != 1 {
			t.Errorf("not tried again: %+v, %v", floor, err)
		}
		s.close()
	})
}
