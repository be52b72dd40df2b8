package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/config"
)

const diffed = `
[auth]
user = "app"
password = "old secret"
[limits]
loops = 1
[database.voip]
size = 5
[cluster.main]
nodes = ["a:1", "b:2"]
state_dir = "/var/lib/one"
[[listener]]
address = "127.0.0.1:5000"
[[listener]]
address = "127.0.0.1:5001"
route = "replica"
`

// good reads a configuration that has no faults.
func good(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, faults := config.Parse("x.toml", []byte(text), nil)
	if cfg == nil {
		t.Fatal(lines(faults))
	}
	return cfg
}

func TestDiffNamesEveryChangeByItsPath(t *testing.T) {
	for _, tc := range []struct {
		name, from, to string
		want           []string
	}{
		{"nothing", "", "", nil},
		{"another order of keys and tables", "user = \"app\"\npassword = \"old secret\"", "password = \"old secret\"\nuser = \"app\"", nil},
		{"a default that is spelled out", "[limits]", "[pool]\nsize = 20\n[limits]", nil},
		{"a value", "[limits]", "[pool]\nsize = 30\n[limits]", []string{"pool.size: 20 → 30"}},
		{"a secret", "old secret", "new secret", []string{"auth.password: another secret"}},
		{"one that a restart needs", "loops = 1", "loops = 2", []string{"limits.loops: 1 → 2 (restart)"}},
		{"a directory", "/var/lib/one", "/var/lib/two", []string{`cluster.main.state_dir: "/var/lib/one" → "/var/lib/two" (restart)`}},
		{"an override's value", "size = 5", "size = 6", []string{"database.voip.size: 5 → 6"}},
		{"an override that is gone", "size = 5", "mode = \"session\"",
			[]string{`database.voip.mode: not set → "session"`, "database.voip.size: 5 → not set"}},
		{"a table under another name", "[database.voip]", "[database.pbx]", []string{"database.voip: removed", "database.pbx: added"}},
		{"nodes", `"a:1", `, ``, []string{`cluster.main.nodes: ["a:1", "b:2"] → ["b:2"]`}},
		{"a listener's route", `route = "replica"`, `route = "any"`, []string{`listener[127.0.0.1:5001].route: "replica" → "any"`}},
		{"a listener's address", "127.0.0.1:5001", "127.0.0.1:5002",
			[]string{"listener[127.0.0.1:5001]: removed", "listener[127.0.0.1:5002]: added"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, after := good(t, diffed), good(t, strings.Replace(diffed, tc.from, tc.to, 1))
			var got []string
			for _, c := range config.Diff(before, after) {
				line := c.String()
				if c.Restart {
					line += " (restart)"
				}
				got = append(got, line)
				if strings.Contains(line, "secret\"") {
					t.Errorf("it gives away a secret: %s", line)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestListenersInAnotherOrderAreTheSame(t *testing.T) {
	head, rest, _ := strings.Cut(diffed, "[[listener]]")
	first, second, _ := strings.Cut(rest, "[[listener]]")
	turned := head + "[[listener]]" + second + "[[listener]]" + first
	if changes := config.Diff(good(t, diffed), good(t, turned)); len(changes) > 0 {
		t.Errorf("%v", changes)
	}
}

func TestWhatNeedsARestartKeepsItsValueUntilThen(t *testing.T) {
	before := good(t, diffed)
	next := strings.NewReplacer("loops = 1", "loops = 2", "/var/lib/one", "/var/lib/two", "size = 5", "size = 6").Replace(diffed)
	after := good(t, next)
	after.KeepUntilRestart(before)
	want := []string{"database.voip.size: 5 → 6"}
	var got []string
	for _, c := range config.Diff(before, after) {
		got = append(got, c.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if changes := config.Diff(after, good(t, next)); len(changes) != 2 || !changes[0].Restart || !changes[1].Restart {
		t.Errorf("what waits for the restart: %v", changes)
	}
}

func TestAFaultFoundInUseHasItsPlace(t *testing.T) {
	cfg := good(t, diffed)
	for path, want := range map[string]string{
		config.ListenerPath(1) + ".address": "x.toml:15: listener[1].address: is taken (find out by whom)",
		"auth.userlist":                     "x.toml:2: auth.userlist: is taken (find out by whom)",
	} {
		if got := cfg.Fault(path, "is taken", "find out by whom").String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := (&config.Config{Source: "none"}).Fault("pool.size", "is odd", "").String(); got != "none: pool.size: is odd" {
		t.Error(got)
	}
}
