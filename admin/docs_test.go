package admin

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/metrics"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/state"
	"github.com/pgrouter/pgrouter/topology"
)

// TestTheDocumentationNamesEveryCommand keeps docs/console.md true.
func TestTheDocumentationNamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../docs/console.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands() {
		if name := "`" + strings.TrimSpace(c.name+" "+c.args) + "`"; !strings.Contains(string(text), name) {
			t.Errorf("docs/console.md does not name %s", name)
		}
	}
}

// documented is one row of docs/metrics.md.
type documented struct{ kind, labels, meaning string }

// documentedMetrics reads the table of docs/metrics.md.
func documentedMetrics(t *testing.T) map[string]documented {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]documented)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		name := strings.Trim(strings.TrimSpace(cells[0]), "`")
		if !strings.HasPrefix(name, metrics.Prefix) {
			continue
		}
		if len(cells) != 4 || rows[name] != (documented{}) {
			t.Errorf("docs/metrics.md: %s has no type, labels and meaning, or two rows", name)
			continue
		}
		rows[name] = documented{strings.TrimSpace(cells[1]), strings.ReplaceAll(strings.TrimSpace(cells[2]), "`", ""), strings.TrimSpace(cells[3])}
	}
	return rows
}

// collectors makes everything that a router registers, and starts nothing of it.
func collectors(t *testing.T) []prometheus.Collector {
	t.Helper()
	r, err := reactor.New(reactor.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pool.New(pool.Options{Reactor: r, Dialer: idleParts{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Close(context.Background()), r.Close()); err != nil {
			t.Error(err)
		}
	})
	x, err := proxy.New(proxy.Defaults(), proxy.Deps{
		Reactor: r, Pool: p, Vectors: &state.Table{}, Authenticator: idleParts{}, Policies: idleParts{},
		Snapshot: func(topology.ClusterID) *topology.Snapshot { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := discovery.Defaults()
	cfg.Cluster = "main"
	m, err := discovery.NewManager(cfg, discovery.Deps{Sources: []discovery.Source{idleParts{}}, Prober: idleParts{}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := failover.New(failover.Config{Cluster: "main", DrainTimeout: time.Second, SwitchTimeout: time.Second}, failover.Deps{
		Topology: m, Pool: idlePool{}, Counters: func() failover.Counters { return failover.Counters{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := newAdmin(t, &scene{})
	return []prometheus.Collector{
		NewJournal(slog.New(slog.DiscardHandler)), a.Collector(), a.PeerCollector(), p.Collector(), x.Collector(), m.Collector(), c.Collector(),
	}
}

// idleParts stands for what is never asked here.
type idleParts struct {
	pool.Dialer
	proxy.Authenticator
	proxy.Policies
	discovery.Prober
}

type idlePool struct{ failover.Pool }

func (idleParts) Name() string                               { return "idle" }
func (idleParts) Run(context.Context, *discovery.Feed) error { return nil }

// descPattern takes a description apart, which has no methods for it.
const descPattern = `^Desc\{fqName: "([^"]*)", help: "([^"]*)",(?: unit: "[^"]*",)? constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`

// TestTheDocumentationHasEveryMetricAndNoOther keeps docs/metrics.md true. A router as it runs is compared in internal/system.
func TestTheDocumentationHasEveryMetricAndNoOther(t *testing.T) {
	rows, pattern := documentedMetrics(t), regexp.MustCompile(descPattern)
	for _, c := range collectors(t) {
		descriptions := make(chan *prometheus.Desc, 100)
		c.Describe(descriptions)
		close(descriptions)
		for d := range descriptions {
			parts := pattern.FindStringSubmatch(d.String())
			if parts == nil {
				t.Fatalf("a description that this test cannot read: %s", d)
			}
			row, known := rows[parts[1]]
			delete(rows, parts[1])
			if !known {
				t.Errorf("docs/metrics.md does not have %s: %s", parts[1], parts[2])
				continue
			}
			labels := strings.FieldsFunc(parts[4], func(r rune) bool { return r == ',' })
			if name, _, constant := strings.Cut(parts[3], "="); constant {
				labels = append(labels, name)
			}
			slices.Sort(labels)
			if want := cmp.Or(strings.Join(labels, ", "), "none"); row.labels != want {
				t.Errorf("docs/metrics.md: the labels of %s are %s, not %s", parts[1], want, row.labels)
			}
			if counts := strings.HasSuffix(parts[1], "_total"); counts != (row.kind == "counter") || row.meaning == "" {
				t.Errorf("docs/metrics.md: %s is no %s, or has no meaning", parts[1], row.kind)
			}
		}
	}
	for name := range rows {
		t.Errorf("docs/metrics.md has %s, which nothing registers", name)
	}
}
