package config_test

import (
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/config"
)

// TestSettingsShowEverythingButSecrets reads a file and looks for what it says, by path.
func TestSettingsShowEverythingButSecrets(t *testing.T) {
	const file = `
[auth]
method = "md5"
user = "app"
password = "hush"
[admin]
users = ["ann", "bob"]
[database."the shop"]
size = 3
[cluster.main]
nodes = ["a", "b"]
state_dir = "/var/lib/pgrouter"
probe_password = "hush"
demote_command = "curl -H 'token: hush' http://a/stop"
[[listener]]
address = ":5000"
`
	c, faults := config.Parse("pgrouter.toml", []byte(file), nil)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	got := make(map[string]config.Setting)
	for _, s := range c.Settings() {
		got[s.Key] = s
		if strings.Contains(s.Value, "hush") {
			t.Errorf("%s shows a secret: %s", s.Key, s.Value)
		}
	}
	for key, want := range map[string]string{
		"auth.method": "md5", "auth.password": "[redacted]", "admin.users": "ann,bob", "pool.wait_timeout": "2m", "pool.hold_max_bytes": "256MB",
		`database."the shop".size`: "3", "cluster.main.nodes": "a:5432,b:5432", "cluster.main.demote_command": "[redacted]",
		"cluster.main.promote_command": "", "listener[:5000].route": "primary",
	} {
		if s, known := got[key]; !known || s.Value != want {
			t.Errorf("%s is %q, want %q", key, s.Value, want)
		}
	}
	if s := got["pool.wait_timeout"]; s.Default != "2m" || s.Restart || !got["admin.http"].Restart {
		t.Errorf("%+v, %+v", s, got["admin.http"])
	}
	if _, known := got[`database."the shop".mode`]; known {
		t.Error("a database has a setting that was not given")
	}
}
