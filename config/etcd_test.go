package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/config"
)

// kept is a configuration whose members stand in etcd.
const kept = `
auth.method = "trust"
[cluster.voip]
state_dir = "/tmp"
[cluster.voip.etcd]
endpoints = ["http://10.0.0.1:2379", "http://[::1]:2379"]
username = "pgrouter"
password = "hush"
`

func TestMembersMayStandInEtcd(t *testing.T) {
	cfg, faults := config.Parse("x.toml", []byte(kept), nil)
	if cfg == nil || len(faults) > 0 {
		t.Fatal(lines(faults))
	}
	e := cfg.Clusters[0].Etcd
	if len(e.Endpoints) != 2 || e.Namespace != "/service" || e.Scope != "voip" || e.Password.Reveal() != "hush" || e.Timeout != time.Second {
		t.Errorf("%+v", e)
	}
	if strings.Contains(cfg.Show(), "hush") {
		t.Error("the password is shown")
	}
	cfg, faults = config.FromEnvironment([]string{"PGROUTER_AUTH_METHOD=trust", "PGROUTER_CLUSTER_ETCD_ENDPOINTS=http://a:1,http://b:1", "PGROUTER_CLUSTER_ETCD_SCOPE=voip"})
	if cfg == nil || len(cfg.Clusters[0].Etcd.Endpoints) != 2 || cfg.Clusters[0].Etcd.Scope != "voip" {
		t.Error(lines(faults))
	}
}

func TestFaultsOfEtcdHaveTheirPlaces(t *testing.T) {
	const head = "auth.method = \"trust\"\n[cluster.main]\nnodes = [\"a\"]\n[cluster.main.etcd]\n"
	const one = "endpoints = [\"http://a:1\"]\n"
	for text, want := range map[string]string{
		"endpoints = [\"a:2379\"]":                      "x.toml:5: cluster.main.etcd.endpoints[0]: must be http://",
		"endpoints = [\"http://ann:hush@a:1\"]":         "x.toml:5: cluster.main.etcd.endpoints[0]: must be http://",
		"endpoints = [\"http://a\"]":                    "x.toml:5: cluster.main.etcd.endpoints[0]: must be http://",
		"endpoints = [\"http://a:1\", \"https://b:1\"]": "x.toml:5: cluster.main.etcd.endpoints: must be all",
		"scope = \"voip\"":                              "x.toml:4: cluster.main.etcd.endpoints: is required",
		"endpoint = []":                                 "x.toml:5: cluster.main.etcd.endpoint: unknown key (did you mean etcd.endpoints?)",
		one + "password = \"hush\"":                     "x.toml:4: cluster.main.etcd.username: must be given",
		one + "username = \"ann\"":                      "x.toml:6: cluster.main.etcd.username: must be given",
		one + "ca_file = \"etcd.go\"":                   "x.toml:5: cluster.main.etcd.endpoints: must be https",
		one + "key_file = \"etcd.go\"":                  "x.toml:4: cluster.main.etcd.cert_file: must be given together",
		one + "scope = \"/\"":                           "x.toml:6: cluster.main.etcd.scope: must not be empty",
		one + "timeout = \"1ms\"":                       "x.toml:6: cluster.main.etcd.timeout: must be at least 50ms",
	} {
		cfg, faults := config.Parse("x.toml", []byte(head+text), nil)
		if got := lines(faults); cfg != nil || !strings.Contains(got, want) || strings.Contains(got, "hush") {
			t.Errorf("%s\n%s\nwant %s", text, got, want)
		}
	}
}
