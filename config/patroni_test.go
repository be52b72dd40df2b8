package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/config"
)

// found is a configuration whose members Patroni finds.
const found = `
auth.method = "trust"
[cluster.main]
state_dir = "/tmp"
address_map = ["10.0.0.1:5432=127.0.0.1:15432", "[::1]:8008=db1:8008"]
[cluster.main.patroni]
urls = ["http://db1:8008", "https://[::1]:8008/patroni"]
username = "ann"
password = "${SECRET}"
interval = "500ms"
`

func TestMembersMayBeFoundByPatroni(t *testing.T) {
	cfg, faults := config.Parse("x.toml", []byte(found), []string{"SECRET=hush"})
	if cfg == nil || len(faults) > 0 {
		t.Fatal(lines(faults))
	}
	p := cfg.Clusters[0].Patroni
	if len(p.URLs) != 2 || p.Username != "ann" || p.Password.Reveal() != "hush" || p.Interval != 500*time.Millisecond || p.Timeout != 2*time.Second || len(cfg.Clusters[0].AddressMap) != 2 {
		t.Errorf("%+v", p)
	}
	shown := cfg.Show()
	if again, faults := config.Parse("x.toml", []byte(shown), nil); again == nil || !strings.Contains(shown, `patroni.interval = "500ms"`) || strings.Contains(shown, "hush") {
		t.Errorf("%s\n%s", lines(faults), shown)
	}
}

func TestPatroniMayComeFromTheEnvironment(t *testing.T) {
	cfg, faults := config.FromEnvironment([]string{
		"PGROUTER_AUTH_METHOD=trust", "PGROUTER_CLUSTER_PATRONI_URLS=http://a:8008, http://b:8008", "PGROUTER_CLUSTER_PATRONI_TIMEOUT=3s",
	})
	if cfg == nil {
		t.Fatal(lines(faults))
	}
	if p := cfg.Clusters[0].Patroni; len(p.URLs) != 2 || p.Timeout != 3*time.Second {
		t.Errorf("%+v", p)
	}
}

func TestATableWithinATableIsComparedAndSetByItsKeys(t *testing.T) {
	before, _ := config.Parse("x.toml", []byte(found), []string{"SECRET=hush"})
	after, faults, err := before.With("cluster.main.patroni.interval", "2s")
	if err != nil || after == nil {
		t.Fatal(err, lines(faults))
	}
	changes := config.Diff(before, after)
	if len(changes) != 1 || changes[0].String() != `cluster.main.patroni.interval: "500ms" → "2s"` || changes[0].Restart {
		t.Errorf("%v", changes)
	}
	if after.Clusters[0].Patroni.Username != "ann" {
		t.Error("the other keys of the table are gone")
	}
}

func TestFaultsOfPatroniHaveTheirPlaces(t *testing.T) {
	const head = "auth.method = \"trust\"\n[cluster.main]\nnodes = [\"a\"]\n"
	for text, want := range map[string]string{
		"[cluster.main.patroni]\nurls = [\"db1:8008\"]":                                 "x.toml:5: cluster.main.patroni.urls[0]: must be http://",
		"[cluster.main.patroni]\nurls = [\"http://ann:hush@db1\"]":                      "x.toml:5: cluster.main.patroni.urls[0]: must be http://",
		"[cluster.main.patroni]\nulrs = []":                                             "x.toml:5: cluster.main.patroni.ulrs: unknown key (did you mean patroni.urls?)",
		"\"patroni.urls\" = [\"http://db1\"]":                                           "x.toml:4: cluster.main.\"patroni.urls\": unknown key",
		"patroni = \"http://db1\"":                                                      "x.toml:4: cluster.main.patroni: must be a table (write [cluster.NAME.patroni])",
		"patroni.username = \"ann\"":                                                    "x.toml:4: cluster.main.patroni.urls: is required",
		"[cluster.main.patroni]\nurls = [\"http://a\"]\npassword = \"hush\"":            "x.toml:4: cluster.main.patroni.username: must be given with",
		"[cluster.main.patroni]\nurls = [\"http://a\"]\ncert_file = \"patroni.go\"":     "x.toml:6: cluster.main.patroni.cert_file: must be given together",
		"[cluster.main.patroni]\nurls = [\"http://a\"]\nca_file = \"none\"":             "x.toml:6: cluster.main.patroni.ca_file: stat none",
		"address_map = [\"a:1=/b:2\"]":                                                  "x.toml:4: cluster.main.address_map[0]: \"a:1=/b:2\" must be",
		"[cluster.main.patroni]\nurls = [\"http://a\"]\ninterval = \"1ms\"":             "x.toml:6: cluster.main.patroni.interval: must be at least 100ms",
		"[cluster.main.patroni]\nurls = [\"http://a\"]\npassword_file = \"/none/none\"": "x.toml:6: cluster.main.patroni.password_file:",
	} {
		cfg, faults := config.Parse("x.toml", []byte(head+text), nil)
		if got := lines(faults); cfg != nil || !strings.Contains(got, want) || strings.Contains(got, "hush") {
			t.Errorf("%s\n%s\nwant %s", text, got, want)
		}
	}
}
