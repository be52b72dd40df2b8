package static

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnAddressHasOneForm(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.11:5432":        "10.0.0.11:5432",
		"10.0.0.11":             "10.0.0.11:5432",
		" DB1.Example:6000 ":    "db1.example:6000",
		"db1":                   "db1:5432",
		"::1":                   "[::1]:5432",
		"[::1]":                 "[::1]:5432",
		"[fe80::1]:05433":       "[fe80::1]:5433",
		"/var/run/postgresql":   "/var/run/postgresql:5432",
		"/tmp/s:5433":           "/tmp/s:5433",
		"/Upper/Case/Counts:1":  "/Upper/Case/Counts:1",
		"2001:db8::2":           "[2001:db8::2]:5432",
		"[2001:db8::2]:5432":    "[2001:db8::2]:5432",
		"node.with.dots.:65535": "node.with.dots.:65535",
	} {
		if got, err := ParseAddress(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", " ", ":5432", "a:0", "a:65536", "a:-1", "a:b", "a:5432:1", "a b", "a,b", "[::1", "/tmp:x", "a\x00"} {
		if got, err := ParseAddress(text); err == nil {
			t.Errorf("%q is read as %q", text, got)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"10.0.0.11:5432", "db1", "[::1]:5433", "/var/run/postgresql:5432", "/tmp", "::1", "a:b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := ParseAddress(text)
		if err != nil {
			return
		}
		if twice, err := ParseAddress(once); err != nil || twice != once {
			t.Fatalf("%q → %q → %q, %v", text, once, twice, err)
		}
	})
}

func TestAllFaultsOfAListAreNamed(t *testing.T) {
	_, err := New([]string{"a", "b:x", "a:5432", ":1"})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v", err)
	}
	if s, err := New(nil); err != nil || len(s.Members()) > 0 {
		t.Errorf("an empty list: %v", err)
	}
}

// silent is a prober whose nodes never answer.
type silent struct{}

// Open is part of discovery.Prober.
func (silent) Open(topology.Member) discovery.Session { return silent{} }

// Probe is part of discovery.Session.
func (silent) Probe(context.Context, discovery.Question) topology.Observation {
	return topology.Observation{Outcome: topology.OutcomeMissed}
}

// Wait is part of discovery.Session.
func (silent) Wait(ctx context.Context) { <-ctx.Done() }

// Close is part of discovery.Session.
func (silent) Close() {}

func TestTheListReachesTheManagerAndMayChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, err := New([]string{"b", "a:5432"})
		if err != nil {
			t.Fatal(err)
		}
		cfg := discovery.Defaults()
		cfg.Cluster = "main"
		m, err := discovery.NewManager(cfg, discovery.Deps{Sources: []discovery.Source{source}, Prober: silent{}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		names := func() []string {
			synctest.Wait()
			var ids []string
			for _, n := range m.Snapshot().Nodes {
				ids = append(ids, string(n.ID))
			}
			return ids
		}
		if got := names(); !slices.Equal(got, []string{"a:5432", "b:5432"}) {
			t.Errorf("%v", got)
		}
		if err := source.SetNodes([]string{"c", "a"}); err != nil {
			t.Error(err)
		}
		if got := names(); !slices.Equal(got, []string{"a:5432", "c:5432"}) {
			t.Errorf("%v", got)
		}
		if err := source.SetNodes([]string{"c:x"}); err == nil {
			t.Error("a faulty list is taken")
		}
		if got := names(); !slices.Equal(got, []string{"a:5432", "c:5432"}) {
			t.Errorf("a faulty list changed something: %v", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
