package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/config"
)

func TestExamplesAreValid(t *testing.T) {
	files, err := filepath.Glob("../examples/*/pgrouter.toml")
	if err != nil || len(files) < 2 {
		t.Fatal(err, files)
	}
	for _, file := range files {
		cfg, faults := config.Load(file, nil)
		if cfg == nil {
			t.Errorf("%s:\n%s", file, lines(faults))
		}
	}
}

func TestTwoNodeExampleMeansWhatItSays(t *testing.T) {
	cfg, faults := config.Load("../examples/two-node/pgrouter.toml", nil)
	if cfg == nil || len(faults) > 0 {
		t.Fatal(lines(faults))
	}
	want := []config.Listener{
		{Address: "0.0.0.0:5000", Route: "primary", Cluster: "main", Fallback: "none", FallbackMax: 30, Balance: "least-connections"},
		{Address: "0.0.0.0:5001", Route: "replica", Cluster: "main", MaxLag: 16 << 20, Fallback: "primary", FallbackMax: 30, Balance: "least-connections"},
	}
	if diff := cmp.Diff(want, cfg.Listeners); diff != "" {
		t.Error(diff)
	}
	c := cfg.Clusters[0]
	if c.ProbePassword.Reveal() != "change me" || len(c.DemoteCommand) != 2 || len(c.PromoteCommand) != 0 {
		t.Errorf("%+v", c)
	}
}

func TestBenchExampleHasOneWarningOnly(t *testing.T) {
	_, faults := config.Load("../examples/pgbench/pgrouter.toml", nil)
	if len(faults) != 1 || faults[0].Key != "cluster.bench.state_dir" {
		t.Error(lines(faults))
	}
}

func TestShowIsTheFileThatWouldGiveTheSame(t *testing.T) {
	cfg, faults := config.Load("../examples/two-node/pgrouter.toml", nil)
	if cfg == nil {
		t.Fatal(lines(faults))
	}
	shown := cfg.Show()
	dir := t.TempDir() // relative paths stay what they were: the example's userlist is not beside it
	shown = replaceUserlist(t, shown, cfg.Auth.Userlist)
	again, faults := config.Parse(filepath.Join(dir, "x.toml"), []byte(shown), nil)
	if again == nil {
		t.Fatalf("%s\n%s", lines(faults), shown)
	}
	if diff := cmp.Diff(shown, replaceSource(again.Show(), again, cfg)); diff != "" {
		t.Error(diff)
	}
}

func replaceUserlist(t *testing.T, shown, userlist string) string {
	t.Helper()
	abs, err := filepath.Abs(userlist)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(shown, userlist, abs, 1)
}

func replaceSource(shown string, from, to *config.Config) string {
	return strings.Replace(shown, from.Source, to.Source, 1)
}
