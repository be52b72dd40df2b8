package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/config"
)

func fromEnvironment(t *testing.T, environ ...string) *config.Config {
	t.Helper()
	cfg, faults := config.FromEnvironment(environ)
	if cfg == nil {
		t.Fatal(lines(faults))
	}
	return cfg
}

func TestLibpqVariablesAloneGiveTwoListenersAndOneCluster(t *testing.T) {
	cfg := fromEnvironment(t, "PGHOST=db1,db2,/run/pg,::1", "PGPORT=5433,5434,5435,5436", "PGUSER=app", "PGPASSWORD="+canary, "PGDATABASE=shop")
	if len(cfg.Clusters) != 1 {
		t.Fatalf("%+v", cfg.Clusters)
	}
	c := cfg.Clusters[0]
	if diff := cmp.Diff([]string{"db1:5433", "db2:5434", "/run/pg:5435", "[::1]:5436"}, c.Nodes); diff != "" {
		t.Error(diff)
	}
	if c.Name != "main" || c.ProbeUser != "app" || c.ProbePassword.Reveal() != canary || c.ProbeDatabase != "shop" {
		t.Errorf("%+v", c)
	}
	if cfg.Auth.User != "app" || cfg.Auth.Password.Reveal() != canary || cfg.Auth.Method != "scram-sha-256" {
		t.Errorf("%+v", cfg.Auth)
	}
	want := []config.Listener{
		{Address: "127.0.0.1:5000", Route: "primary", Cluster: "main", Fallback: "none", FallbackMax: 30, Balance: "least-connections"},
		{Address: "127.0.0.1:5001", Route: "replica", Cluster: "main", Fallback: "none", FallbackMax: 30, Balance: "least-connections"},
	}
	if diff := cmp.Diff(want, cfg.Listeners); diff != "" {
		t.Error(diff)
	}
	if cfg.Admin.HTTP != "127.0.0.1:7000" || cfg.Source != "environment" {
		t.Errorf("%+v", cfg)
	}
}

func TestOnePortIsForAllHostsAndNoneIsTheDefault(t *testing.T) {
	for port, want := range map[string][]string{"": {"a:5432", "b:5432"}, "6000": {"a:6000", "b:6000"}} {
		cfg := fromEnvironment(t, "PGHOST=a,b", "PGPORT="+port, "PGROUTER_AUTH_METHOD=trust")
		if diff := cmp.Diff(want, cfg.Clusters[0].Nodes); diff != "" {
			t.Error(diff)
		}
	}
}

func TestEverySettingHasItsVariable(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from file"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := fromEnvironment(t, "PGROUTER_CLUSTER_NODES=a:1, b:2", "PGHOST=ignored", "PGUSER=app", "PGPASSWORD="+canary,
		"PGROUTER_CLUSTER_PROBE_PASSWORD_FILE="+secret, "PGROUTER_CLUSTER_DEMOTE_COMMAND=systemctl stop postgresql",
		"PGROUTER_ADMIN_USERS=a,b", "PGROUTER_ADMIN_HTTP=", "PGROUTER_POOL_SIZE=7", "PGROUTER_POOL_HOLD_TIMEOUT=3s",
		"PGROUTER_POOL_HOLD_MAX_BYTES=1GB", "PGROUTER_LOG_LEVEL=debug", "PGROUTER_LIMITS_LOOPS=2",
		"PGROUTER_PRIMARY_ADDRESS=:6000", "PGROUTER_REPLICA_ADDRESS=", "PGROUTER_VERIFY=1", "PGROUTER_PORT=tcp://10.0.0.1:5000",
		"PGROUTER_SERVICE_HOST=10.0.0.1", "PGROUTER_PORT_5000_TCP=x")
	c := cfg.Clusters[0]
	if diff := cmp.Diff([]string{"a:1", "b:2"}, c.Nodes); diff != "" {
		t.Error(diff)
	}
	if c.ProbePassword.Reveal() != "from file" || cfg.Auth.Password.Reveal() != canary {
		t.Error("a secret's file must win over PGPASSWORD")
	}
	if diff := cmp.Diff([]string{"/bin/sh", "-c", "systemctl stop postgresql"}, c.DemoteCommand); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, cfg.Admin.Users); diff != "" {
		t.Error(diff)
	}
	if cfg.Admin.HTTP != "" || cfg.Pool.Size != 7 || cfg.Pool.HoldTimeout != 3*time.Second || cfg.Pool.HoldMaxBytes != 1<<30 ||
		cfg.Log.Level != "debug" || cfg.Limits.Loops != 2 {
		t.Errorf("%+v", cfg)
	}
	if len(cfg.Listeners) != 1 || cfg.Listeners[0].Address != ":6000" || cfg.Listeners[0].Route != "primary" {
		t.Errorf("%+v", cfg.Listeners)
	}
}

func TestFaultsInTheEnvironmentNameTheVariable(t *testing.T) {
	for name, environ := range map[string][]string{
		"nothing": nil,
		"wrong values": {
			"PGROUTER_CLUSTER_NODES=a:1,b:x", "PGROUTER_POOL_SIZE=many", "PGROUTER_POOL_SIZZE=5", "PGROUTER_NONSENSE=1",
			"PGROUTER_POOL_MODE=sesion", "PGPASSWORD=" + canary, "PGROUTER_PRIMARY_ADDRESS=nowhere", "PGROUTER_REPLICA_MAX_LAG=much",
			"PGROUTER_ADMIN_ALLOW=office", "PGROUTER_CLUSTER_PROBE_PASSWORD_FILE=/no/such/file",
		},
		"no nodes":     {"PGUSER=app", "PGPASSWORD=" + canary},
		"empty nodes":  {"PGROUTER_CLUSTER_NODES=", "PGUSER=app", "PGPASSWORD=" + canary},
		"no listeners": {"PGHOST=a", "PGROUTER_PRIMARY_ADDRESS=", "PGROUTER_REPLICA_ADDRESS=", "PGROUTER_AUTH_METHOD=trust"},
		"only strays":  {"PGHOST=a", "PGROUTER_AUTH_METHOD=trust", "PGROUTER_POOL_HOLD_TIMEOT=1s", "PGROUTER_NONSENSE=1"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, faults := config.FromEnvironment(environ)
			if (cfg == nil) != config.Failed(faults) {
				t.Errorf("config %v, failed %v", cfg, config.Failed(faults))
			}
			if strings.Contains(lines(faults), canary) {
				t.Error("a fault tells a secret")
			}
			golden(t, "testdata/env "+name+".want", lines(faults))
		})
	}
}
