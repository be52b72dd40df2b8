package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgrouter/pgrouter/config"
)

func TestWeightsAreReadByTheAddressThatANodeHas(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pgrouter.toml")
	text := "[auth]\nmethod = \"trust\"\n[cluster.main]\nnodes = [\"db1\", \"db2:5433\"]\nweights = [\"db1=3\", \" db2:5433 = 0\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, faults := config.Load(file, nil)
	if config.Failed(faults) {
		t.Fatal(faults)
	}
	if got := cfg.Clusters[0].NodeWeights(); !maps.Equal(got, map[string]int{"db1:5432": 3, "db2:5433": 0}) {
		t.Errorf("%v", got)
	}
}
