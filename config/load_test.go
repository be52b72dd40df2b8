package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// canary is a secret that must not appear in anything that is printed.
const canary = "c4nary-s3cret"

// golden compares with the file of that name, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got; -update writes it anew):\n%s", name, diff)
	}
}

func lines(faults []config.Fault) string {
	var b strings.Builder
	for _, f := range faults {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

func TestFaultyFilesAreReportedWholeWithPlaceAndHint(t *testing.T) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cfg, faults := config.Load(file, []string{"CANARY=" + canary})
			got := lines(faults)
			if strings.Contains(got, canary) || strings.Contains(got, "hunter2") {
				t.Errorf("a fault tells a secret:\n%s", got)
			}
			if (cfg == nil) != config.Failed(faults) {
				t.Errorf("config %v, but failed is %v", cfg, config.Failed(faults))
			}
			golden(t, strings.TrimSuffix(file, ".toml")+".want", got)
		})
	}
}

// load parses a text that must be right.
func load(t *testing.T, doc string, environ ...string) *config.Config {
	t.Helper()
	cfg, faults := config.Parse(filepath.Join(t.TempDir(), "pgrouter.toml"), []byte(doc), environ)
	if cfg == nil {
		t.Fatal(lines(faults))
	}
	return cfg
}

// least is the smallest file that is right.
const least = "auth.method = \"trust\"\ncluster.main.nodes = [\"a\"]\n"

func TestDefaultsAreCompleteWithOneClusterAndNothingElse(t *testing.T) {
	cfg := load(t, least)
	want := []config.Listener{
		{Address: "127.0.0.1:5000", Route: "primary", Cluster: "main", Fallback: "none", FallbackMax: 30, Balance: "least-connections"},
		{Address: "127.0.0.1:5001", Route: "replica", Cluster: "main", Fallback: "none", FallbackMax: 30, Balance: "least-connections"},
	}
	if diff := cmp.Diff(want, cfg.Listeners); diff != "" {
		t.Error(diff)
	}
	c := cfg.Clusters[0]
	if c.Name != "main" || c.Nodes[0] != "a:5432" || c.ProbeUser != "pgrouter" || c.ProbeInterval != time.Second {
		t.Errorf("%+v", c)
	}
	if cfg.Admin.HTTP != "127.0.0.1:7000" || cfg.Pool.Size != 20 || cfg.Pool.HoldTimeout != 8*time.Second ||
		cfg.Pool.HoldMaxBytes != 256<<20 || cfg.Log.Format != "text" || cfg.Limits.MaxClients != 10000 {
		t.Errorf("%+v", cfg)
	}
}

func TestUserOverridesDatabaseOverridesPool(t *testing.T) {
	cfg := load(t, least+`
[pool]
size = 5
mode = "session"
[database.app]
dbname = "app_v2"
size = 6
hold_timeout = "0s"
login = "eager"
query_timeout = "1m"
idle_transaction_timeout = "2m"
[user.batch]
size = 7
wait_timeout = "1h"
idle_transaction_timeout = "0s"
client_idle_timeout = "3m"
`)
	p := cfg.PoolFor("app", "batch")
	if p.Size != 7 || p.Mode != "session" || p.HoldTimeout != 0 || p.WaitTimeout != time.Hour || p.Login != "eager" {
		t.Errorf("app, batch: %+v", p)
	}
	if p.QueryTimeout != time.Minute || p.IdleTransaction != 0 || p.ClientIdle != 3*time.Minute {
		t.Errorf("app, batch: %+v", p)
	}
	if p := cfg.PoolFor("app", "other"); p.Size != 6 || p.WaitTimeout != 2*time.Minute || p.IdleTransaction != 2*time.Minute {
		t.Errorf("app, other: %+v", p)
	}
	if p := cfg.PoolFor("other", "other"); p != cfg.Pool {
		t.Errorf("other, other: %+v", p)
	}
	if a, b := cfg.ServerDatabase("app"), cfg.ServerDatabase("other"); a != "app_v2" || b != "other" {
		t.Error(a, b)
	}
}

func TestSecretsComeFromFilesAndVariablesAndAreNeverShown(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "probe"), []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	doc := least + `
[auth]
user = "app"
password = "in line"
[cluster.main]
probe_password_file = "probe"
switchover_password = "${SWITCH}"
demote_command = "systemctl stop ${PGROUTER_NODE}"
promote_command = ["promote", "${NOT_EXPANDED}"]
`
	doc = strings.Replace(doc, least, "", 1)
	doc = strings.Replace(doc, "[auth]", "[auth]\nmethod = \"md5\"", 1)
	doc = strings.Replace(doc, "[cluster.main]", "[cluster.main]\nnodes = [\"${HOST}:5433\", \"${HOST2}\"]", 1)
	cfg, faults := config.Parse(filepath.Join(dir, "pgrouter.toml"), []byte(doc), []string{"SWITCH=" + canary, "HOST=h", "HOST2=h2:1"})
	if cfg != nil {
		t.Fatal("a variable in the middle of a value is not replaced, so that host is none")
	}
	if !strings.Contains(lines(faults), "${HOST}:5433") {
		t.Error(lines(faults))
	}
	doc = strings.Replace(doc, "${HOST}:5433", "h:5433", 1)
	cfg, faults = config.Parse(filepath.Join(dir, "pgrouter.toml"), []byte(doc), []string{"SWITCH=" + canary, "HOST2=h2:1"})
	if cfg == nil {
		t.Fatal(lines(faults))
	}
	c := cfg.Clusters[0]
	if cfg.Auth.Password.Reveal() != "in line" || c.ProbePassword.Reveal() != "from file" || c.SwitchoverPassword.Reveal() != canary {
		t.Error("secrets are not what was given")
	}
	if diff := cmp.Diff([]string{"h:5433", "h2:1"}, c.Nodes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/bin/sh", "-c", "systemctl stop ${PGROUTER_NODE}"}, c.DemoteCommand); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"promote", "${NOT_EXPANDED}"}, c.PromoteCommand); diff != "" {
		t.Error(diff)
	}
	for _, secret := range []string{"in line", "from file", canary} {
		if strings.Contains(cfg.Show(), secret) {
			t.Errorf("Show tells %q", secret)
		}
	}
}

func TestEndpointOfUnixListenerIsTheSocketThatLibpqLooksFor(t *testing.T) {
	for address, want := range map[string][2]string{
		"0.0.0.0:5000":         {"tcp", "0.0.0.0:5000"},
		"[::1]:5000":           {"tcp", "[::1]:5000"},
		":5000":                {"tcp", ":5000"},
		"/run/postgresql:5000": {"unix", "/run/postgresql/.s.PGSQL.5000"},
	} {
		cfg := load(t, least+"[[listener]]\naddress = \""+address+"\"\n")
		network, at := cfg.Listeners[0].Endpoint()
		if network != want[0] || at != want[1] {
			t.Errorf("%s: %s %s", address, network, at)
		}
	}
}

func TestListenersMayShareAPortOnDifferentAddressesOnly(t *testing.T) {
	for _, c := range []struct {
		a, b string
		ok   bool
	}{
		{"127.0.0.1:5000", "127.0.0.2:5000", true},
		{"127.0.0.1:5000", "0.0.0.0:5000", false},
		{"127.0.0.1:5000", ":5000", false},
		{"[::]:5000", "127.0.0.1:5000", false},
		{"/run/a:5000", "0.0.0.0:5000", true},
		{"/run/a:5000", "/run/a:5000", false},
	} {
		doc := least + "[[listener]]\naddress = \"" + c.a + "\"\n[[listener]]\naddress = \"" + c.b + "\"\n"
		cfg, faults := config.Parse("x.toml", []byte(doc), nil)
		if (cfg != nil) != c.ok {
			t.Errorf("%s and %s: %s", c.a, c.b, lines(faults))
		}
	}
}

func TestMissingAndOverlongFilesAreFaults(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long.toml")
	if err := os.WriteFile(long, []byte(strings.Repeat("# comment\n", 500_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.toml"): "none.toml: cannot be read: no such file or directory",
		dir:                             "cannot be read: is a directory",
		long:                            "it is longer than 4194304 bytes",
	} {
		cfg, faults := config.Load(path, nil)
		if cfg != nil || !strings.Contains(lines(faults), want) {
			t.Errorf("%s: %v %s", path, cfg, lines(faults))
		}
	}
}

func TestSecretFilesMustBeShortRegularAndNotEmpty(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"empty": "\n", "long": strings.Repeat("x", 70_000)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"empty": "is empty", "long": "is longer than", ".": "is not a regular file", "none": "no such file", "/dev/zero": "is not a regular file",
	} {
		doc := least + "cluster.main.probe_password_file = \"" + name + "\"\n"
		cfg, faults := config.Parse(filepath.Join(dir, "x.toml"), []byte(doc), nil)
		if cfg != nil || !strings.Contains(lines(faults), want) {
			t.Errorf("%s: %s", name, lines(faults))
		}
	}
}

func TestAnEmptyUserlistIsNone(t *testing.T) {
	_, inFile := config.Parse("x.toml", []byte("auth.userlist = \"\"\ncluster.main.nodes = [\"a\"]\n"), nil)
	_, inEnvironment := config.FromEnvironment([]string{"PGHOST=a", "PGROUTER_AUTH_USERLIST="})
	for _, faults := range [][]config.Fault{inFile, inEnvironment} {
		if got := lines(faults); !config.Failed(faults) || !strings.Contains(got, "nobody could log in") {
			t.Errorf("%q", got)
		}
	}
}

func TestSyntaxFaultsNeverRepeatASecret(t *testing.T) {
	for _, line := range []string{
		`password = hunter2`, `password = "hunter2`, `password = 'hunter2`, `password = "hunter2" x`, `password = "\hunter2"`,
		`password hunter2`, "password =\nhunter2", `password = """hunter2`, `password = [hunter2]`, `password = 12hunter2`,
		`password = +hunter2`, `password = {hunter2`, `probe_password = 1e5hunter2`, "a = 1\npassword = 0xhunter2",
	} {
		_, faults := config.Parse("x.toml", []byte("[auth]\n"+line+"\n"), nil)
		if got := lines(faults); len(faults) == 0 || strings.Contains(got, "hunter") {
			t.Errorf("%s: %s", line, got)
		}
	}
}
