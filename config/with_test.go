package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/config"
)

const settable = `
[auth]
user = "app"
password = "c4nary-s3cret"
[pool]
hold_timeout = "9s"
dial_backoff_max = "1s"
[database."*"]
mode = "session"
[cluster.main]
nodes = ["a:1", "b:2"]
[[listener]]
address = "127.0.0.1:5000"
`

func TestOneSettingChangesAndNothingElse(t *testing.T) {
	before := good(t, settable)
	for _, tc := range []struct{ key, value, want string }{
		{"pool.size", "30", "pool.size: 20 → 30"},
		{"pool.hold_timeout", "1m30s", `pool.hold_timeout: "9s" → "1m30s"`},
		{"pool.hold_timeout", "9000ms", ""},
		{"pool.hold_max_bytes", "64 kB", `pool.hold_max_bytes: "256MB" → "64kB"`},
		{"pool.reset_query", "DISCARD 'ALL'; -- ${HOME}", `pool.reset_query: "DISCARD ALL" → "DISCARD 'ALL'; -- ${HOME}"`},
		{"pool.reset_query", "${HOME}", `pool.reset_query: "DISCARD ALL" → "${HOME}"`}, // variables are for files
		{"log.level", "debug", `log.level: "info" → "debug"`},
		{"admin.users", "ann, bob", `admin.users: [] → ["ann", "bob"]`},
		{`database."*".mode`, "transaction", `database."*".mode: "session" → "transaction"`},
		{`database."*".size`, "3", `database."*".size: not set → 3`},
		{"cluster.main.nodes", "b:2,c", `cluster.main.nodes: ["a:1", "b:2"] → ["b:2", "c:5432"]`},
	} {
		after, faults, err := before.With(tc.key, tc.value)
		if err != nil || after == nil {
			t.Errorf("%s = %s: %v %v", tc.key, tc.value, err, lines(faults))
			continue
		}
		var got []string
		for _, c := range config.Diff(before, after) {
			got = append(got, c.String())
		}
		if strings.Join(got, "; ") != tc.want {
			t.Errorf("%s = %s: %v, want %s", tc.key, tc.value, got, tc.want)
		}
	}
}

// TestEverySettingThatIsShownCanBeSetAsItIsShown, or is refused for a reason.
func TestEverySettingThatIsShownCanBeSetAsItIsShown(t *testing.T) {
	before := good(t, settable)
	for _, s := range before.Settings() {
		after, faults, err := before.With(s.Key, s.Value)
		refused, ok := errors.AsType[*config.SettingError](err)
		switch {
		case ok && refused.Why == config.UnknownSetting, ok && refused.Why == config.NeedsRestart != s.Restart:
			t.Errorf("%s: %v", s.Key, err)
		case !ok && after == nil:
			t.Errorf("%s = %s: %s", s.Key, s.Value, lines(faults))
		case !ok && len(config.Diff(before, after)) > 0:
			t.Errorf("%s = %s: %v", s.Key, s.Value, config.Diff(before, after))
		}
	}
}

func TestSettingsAddUp(t *testing.T) {
	before := good(t, settable)
	after := before
	for _, s := range [][2]string{{"pool.size", "30"}, {"limits.max_clients", "5"}, {"pool.size", "31"}} {
		var faults []config.Fault
		if after, faults, _ = after.With(s[0], s[1]); after == nil {
			t.Fatal(lines(faults))
		}
	}
	if after.Pool.Size != 31 || after.Limits.MaxClients != 5 || len(config.Diff(before, after)) != 2 {
		t.Error(config.Diff(before, after))
	}
}

// TestAFaultyValueIsToldWithItsReason: a value that cannot be by itself has no line, one beside which another stands names that line.
func TestAFaultyValueIsToldWithItsReason(t *testing.T) {
	for _, tc := range []struct{ key, value, want string }{
		{"pool.size", "0", `x.toml: pool.size: must be at least 1, is "0"`},
		{"pool.size", "many", `x.toml: pool.size: must be a whole number, is "many"`},
		{"pool.hold_timeout", "8", `x.toml: pool.hold_timeout: must be a duration such as "8s" (units: ms, s, m, h), is "8"`},
		{"pool.mode", "transactoin", `x.toml: pool.mode: must be one of session, transaction or statement, is "transactoin" (did you mean transaction?)`},
		{"pool.reset_query", "", "x.toml: pool.reset_query: must not be empty (DISCARD ALL is the default)"},
		{"pool.dial_backoff_min", "2s", "x.toml:7: pool.dial_backoff_max: must be at least dial_backoff_min, which is 2s"},
		{"cluster.main.nodes", "", "x.toml: cluster.main.nodes: must name at least one node"},
		{"auth.user", "", `x.toml: auth.user: must be given with the password`},
	} {
		after, faults, err := good(t, settable).With(tc.key, tc.value)
		if after != nil || err != nil || !strings.HasPrefix(lines(faults), tc.want+"\n") {
			t.Errorf("%s = %s: %v\n%swant %s", tc.key, tc.value, err, lines(faults), tc.want)
		}
	}
}

func TestWhatIsNoSettingOfItsOwnIsRefused(t *testing.T) {
	for key, want := range map[string]config.SettingError{
		"pool.sise":                       {Hint: "did you mean pool.size?"},
		"Pool.Size":                       {Hint: "did you mean pool.size?"},
		"hold_timeout":                    {Hint: "it belongs to [pool]"},
		"maxconn":                         {Hint: "did you mean limits.max_clients?"},
		"database.crm.size":               {Hint: "a [database.NAME] is added in the configuration file"},
		"listener[:1].route":              {Hint: "a [[listener]] is added in the configuration file"},
		"nonsense":                        {},
		"":                                {},
		"pool":                            {},
		"auth.password":                   {Why: config.OnlyReadWhole},
		"auth.password_file":              {Why: config.OnlyReadWhole},
		"cluster.main.demote_command":     {Why: config.OnlyReadWhole}, // a console is no shell
		"listener[127.0.0.1:5000].route":  {Why: config.OnlyReadWhole},
		"listener[127.0.0.1:5000].addres": {Hint: "did you mean listener[127.0.0.1:5000].address?"},
		"limits.loops":                    {Why: config.NeedsRestart},
		"cluster.main.state_dir":          {Why: config.NeedsRestart},
	} {
		want.Key = key
		after, faults, err := good(t, settable).With(key, "1")
		got, ok := errors.AsType[*config.SettingError](err)
		if !ok || after != nil || len(faults) > 0 {
			t.Errorf("%s: %v %s %v", key, after, lines(faults), err)
			continue
		}
		if diff := cmp.Diff(want, *got); diff != "" || got.Error() == "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	if _, _, err := (&config.Config{}).With("pool.size", "1"); err == nil {
		t.Error("what was never read is changed")
	}
}

// TestFilesAreNotReadForASetting: a secret's file, or a userlist, that is gone concerns nobody who changes a size.
func TestFilesAreNotReadForASetting(t *testing.T) {
	dir := t.TempDir()
	names := []string{filepath.Join(dir, "secret"), filepath.Join(dir, "users")}
	for _, name := range names {
		if err := os.WriteFile(name, []byte("one"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	doc := "auth.userlist = \"users\"\ncluster.main = { nodes = [\"a\"], probe_password_file = \"secret\" }\n"
	cfg, faults := config.Parse(filepath.Join(dir, "x.toml"), []byte(doc), nil)
	if cfg == nil {
		t.Fatal(lines(faults))
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	next, faults, err := cfg.With("pool.size", "5")
	if next == nil || next.Clusters[0].ProbePassword.Reveal() != "one" || next.Pool.Size != 5 {
		t.Errorf("%v %s", err, lines(faults))
	}
}

func TestSettingsChangeInTheEnvironmentsConfigurationToo(t *testing.T) {
	before := fromEnvironment(t, "PGHOST=a,b", "PGUSER=app", "PGPASSWORD="+canary, "PGROUTER_POOL_SIZE=5")
	after, faults, err := before.With("pool.size", "6")
	if after == nil || after.Pool.Size != 6 || len(config.Diff(before, after)) != 1 {
		t.Errorf("%v %s", err, lines(faults))
	}
	if after, _, _ = before.With("limits.max_clients", "7"); after == nil || after.Limits.MaxClients != 7 || after.Pool.Size != 5 {
		t.Error("a table that was not there")
	}
	_, faults, _ = before.With("pool.size", "0")
	if got := lines(faults); got != "environment: pool.size: must be at least 1, is \"0\"\n" {
		t.Error(got)
	}
}

// FuzzWith: whatever is set, it is a fault, or one change at most, of just that setting, and no secret is told.
func FuzzWith(f *testing.F) {
	for _, s := range [][2]string{
		{"pool.size", "3"}, {"pool.hold_timeout", "1h"}, {`database."*".mode`, "statement"}, {"admin.users", "a,,b"}, {"cluster.main.nodes", "[::1]:5"},
		{"auth.user", "x"}, {"auth.password", "x"}, {"listener[127.0.0.1:5000].route", "any"}, {"pool.", ""}, {"limits.max_client_buffer", "1 MB"}, {"auth.method", "trust"},
	} {
		f.Add(s[0], s[1])
	}
	before, faults := config.Parse("/nowhere/x.toml", []byte(settable), nil)
	if before == nil {
		f.Fatal(lines(faults))
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		after, faults, err := before.With(key, value)
		if (after == nil) != (err != nil || config.Failed(faults)) {
			t.Fatalf("config %v, faults %v, error %v", after, faults, err)
		}
		if strings.Contains(lines(faults), canary) && !strings.Contains(value, canary) {
			t.Errorf("a secret in %s", lines(faults))
		}
		if after == nil {
			return
		}
		for i, c := range config.Diff(before, after) {
			if i > 0 || c.Path != key {
				t.Errorf("%s = %s changes %s", key, value, c)
			}
		}
	})
}
