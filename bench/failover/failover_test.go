package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/internal/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheLongestGapBeginsWithTheEvent(t *testing.T) {
	begun := time.Now()
	at := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	for name, c := range map[string]struct {
		acks []int
		want int
	}{
		"nothing came":                        {nil, 0},
		"what came before counts for nothing": {[]int{-5000, -10, 20, 30}, 20},
		"the first one late":                  {[]int{700, 710}, 700},
		"in another order than they came":     {[]int{900, 10, 20}, 880},
	} {
		var acks []time.Time
		for _, ms := range c.acks {
			acks = append(acks, at(ms))
		}
		if got := longest(begun, acks); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("%s: %v, want %d ms", name, got, c.want)
		}
	}
}

func TestFailedConnectsAreToldApartFromErrors(t *testing.T) {
	f := ledger.Figures{Faults: map[ledger.Fault]int64{
		{Stage: ledger.Connecting, Code: ledger.ErrorRefused}: 100, {Stage: ledger.Connecting, Code: "57P03"}: 10,
		{Stage: ledger.Committing, Code: "08007"}: 2, {Stage: ledger.Autocommit, Code: "08007"}: 3,
	}}
	if got := refusals(&f); got != 110 {
		t.Errorf("%d failed connects, want 110", got)
	}
	if diff := cmp.Diff(map[string]int64{"08007": 5}, errorsOf(&f)); diff != "" {
		t.Error(diff)
	}
}

func TestOptionsSayAllThatIsWrongAtOnce(t *testing.T) {
	_, err := parseOptions([]string{"-stacks", "haproxy,telnet", "-events", "kill,flood", "-rate", "0"}, io.Discard)
	if err == nil {
		t.Fatal("nonsense passed")
	}
	for _, want := range []string{`"telnet"`, `"flood"`, "-rate"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %s", err, want)
		}
	}
}

func TestTheLineInTheResultsAsksForTheSameAgain(t *testing.T) {
	o, err := parseOptions([]string{"-stacks", "haproxy,pgrouter-rest", "-events", "kill", "-rate", "20", "-write"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseOptions(strings.Fields(o.line()), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.line() != again.line() || len(again.stacks) != 2 || len(again.events) != 1 || again.rate != 20 || !again.write {
		t.Errorf("%s became %s", o.line(), again.line())
	}
}

func TestTheRoutersConfigurationIsOne(t *testing.T) {
	f := &front{write: "127.0.0.1:6000", read: "127.0.0.1:6001"}
	text := routerConfig(f, "127.0.0.1:7000", "secret", "[cluster.main.etcd]\nendpoints = ["+quoted("http://", []string{"127.0.0.1:2379"})+"]\n")
	cfg, faults := config.Parse(filepath.Join(t.TempDir(), "pgrouter.toml"), []byte(text), nil)
	if config.Failed(faults) {
		t.Fatalf("%v\n%s", faults, text)
	}
	if len(cfg.Listeners) != 2 || cfg.Listeners[0].Address != f.write || cfg.Clusters[0].Etcd.Endpoints[0] != "http://127.0.0.1:2379" {
		t.Errorf("%+v", cfg)
	}
}

func TestHAProxyChecksEachNodeAsPatroniWantsIt(t *testing.T) {
	f := &front{write: "127.0.0.1:6000", read: "127.0.0.1:6001"}
	text := haproxyConfig(f, []server{{"n1", "127.0.0.1:5432", "127.0.0.1:8008"}, {"n2", "127.0.0.1:6432", "127.0.0.1:8009"}})
	for _, want := range []string{
		"bind 127.0.0.1:6000\n\toption httpchk OPTIONS /primary\n", "bind 127.0.0.1:6001\n\toption httpchk OPTIONS /replica\n",
		"inter 3s fall 3 rise 2 on-marked-down shutdown-sessions\n", "server n1 127.0.0.1:5432 maxconn 100 check port 8008\n",
		"server n2 127.0.0.1:6432 maxconn 100 check port 8009\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestTheResultsAreSavedWithWhatTheyDependOn(t *testing.T) {
	o, err := parseOptions([]string{"-events", "kill,order"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r := &report{options: o, facts: []string{"PostgreSQL 15"}, results: []result{{
		stack: "HAProxy", event: "kill -9 of the primary's node", gap: 25200 * time.Millisecond, own: 19500 * time.Millisecond,
		writers: map[string]int64{"lost": 16}, refused: 2706, dropped: 36, inDoubt: 8,
	}}}
	r.tell([]string{"HAProxy 2.6"})
	r.tell([]string{"PgBouncer 1.24", "HAProxy 2.6"})
	path := filepath.Join(t.TempDir(), "FAILOVER.md")
	if err := os.WriteFile(path, []byte("an older run\n\n"+byHand+"\n\n## A profile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n- HAProxy 2.6\n- PgBouncer 1.24\n- PostgreSQL 15\n", "\n## Kill -9 of the primary's node\n",
		"| HAProxy | 25.20 s | 19.50 s | **5.70 s** | 16 × lost | 8 | 0 | 36 | 2706 | 0 | 0 |\n",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	if !strings.HasSuffix(string(b), method+"\n"+byHand+"\n\n## A profile\n") || strings.Contains(string(b), "older") {
		t.Errorf("what was written by hand is not kept, or more than that:\n%s", b)
	}
	if strings.Contains(string(b), "asked of pgrouter") {
		t.Error("an event that nobody took part in has a table")
	}
}
