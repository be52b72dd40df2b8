package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/config"
)

const named = `
auth.method = "trust"
[cluster.main]
state_dir = "/tmp"
[cluster.main.dns]
names = ["pg.db.svc:5433", "pg", "_postgresql._tcp.pg.db.svc"]
server = "10.96.0.10:53"
family = "ipv6"
max_ttl = "5s"
`

func TestMembersMayBeFoundByNames(t *testing.T) {
	cfg, faults := config.Parse("x.toml", []byte(named), nil)
	if cfg == nil || len(faults) > 0 {
		t.Fatal(lines(faults))
	}
	d := cfg.Clusters[0].DNS
	if len(d.Names) != 3 || d.Server != "10.96.0.10:53" || d.Family != "ipv6" || d.MaxTTL != 5*time.Second || d.ForgetAfter != time.Minute || d.Timeout != 2*time.Second {
		t.Errorf("%+v", d)
	}
	shown := cfg.Show()
	if again, faults := config.Parse("x.toml", []byte(shown), nil); again == nil || !strings.Contains(shown, `dns.max_ttl = "5s"`) {
		t.Errorf("%s\n%s", lines(faults), shown)
	}
}

func TestNamesThatCannotBeFollowedAreFaults(t *testing.T) {
	for spoilt, fault := range map[string]string{
		`names = ["10.0.0.1:5432"]`:                   "addresses belong into nodes",
		`names = ["[::1]:5432"]`:                      "addresses belong into nodes",
		`names = ["pg:0"]`:                            "port",
		`names = ["/run/pg:5432"]`:                    "must be a name with a port",
		`names = ["_postgresql._tcp.pg:5432"]`:        "without a port",
		"names = [\"pg\"]\nserver = \"dns.local:53\"": "must be address:port",
		"names = [\"pg\"]\nfamily = \"both\"":         "ipv4",
		"names = [\"pg\"]\nmax_ttl = \"10ms\"":        "1s",
	} {
		text := "auth.method = \"trust\"\n[cluster.main]\nnodes = [\"a:5432\"]\nstate_dir = \"/tmp\"\n[cluster.main.dns]\n" + spoilt
		cfg, faults := config.Parse("x.toml", []byte(text), nil)
		if cfg != nil || !strings.Contains(lines(faults), fault) {
			t.Errorf("%s: %s", spoilt, lines(faults))
		}
	}
}
