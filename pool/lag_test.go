package pool

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// lagsBy publishes the standbys a and b, of which b lags by so many bytes.
func (w *world) lagsBy(bytes uint64) {
	s := w.picture("", 1, 1)
	s.At = time.Unix(0, w.time)
	s.Nodes[1].LagBytes = bytes
	w.publish(s)
}

// routed returns the nodes that a queue may use now.
func (q *Queue) routed() []topology.NodeID {
	q.mu.Lock()
	defer q.mu.Unlock()
	var nodes []topology.NodeID
	for _, sh := range q.mu.nodes {
		nodes = append(nodes, sh.node)
	}
	return nodes
}

func TestAStandbyThatLagsIsShutOutAndLetInAgainForAllQueuesAlike(t *testing.T) {
	rules := routing.Rules{MaxLag: routing.LagLimit{Bytes: 100}}
	w := newWorldOf(t, testKey(routing.Replica), rules, 1, Defaults())
	var told []string
	for i, step := range []struct {
		lag  uint64
		both bool
		told string // how often it was shut out and let in
	}{
		{0, true, ""},
		{100, true, ""},
		{101, false, "standby_lagging"},
		{90, false, ""},
		{120, false, ""},
		{76, false, ""},
		{75, true, "standby_caught_up"},
		{100, true, ""},
	} {
		w.elapse(time.Second)
		w.events = nil
		w.lagsBy(step.lag)
		// Who comes only now knows what the others know.
		key := w.queue.key
		key.Options = strings.Repeat("x", i)
		late := w.pool.Queue(key, rules, Defaults())
		for _, q := range []*Queue{w.queue, late} {
			if both := len(q.routed()) == 2; both != step.both {
				t.Fatalf("step %d, %d bytes: it is routed to %v", i, step.lag, q.routed())
			}
		}
		told = told[:0]
		for _, e := range w.events {
			if e.Node == "b" {
				told = append(told, string(e.Kind))
				if e.Kind == event.StandbyCaughtUp && e.Took != 4*time.Second || !strings.Contains(e.Reason, "of 100") {
					t.Errorf("step %d: %+v", i, e)
				}
			}
		}
		if strings.Join(told, " ") != step.told {
			t.Errorf("step %d: told %v, want %s", i, told, step.told)
		}
	}
}

func TestLimitsOfOtherListenersDoNotConcernAQueue(t *testing.T) {
	w := newWorldOf(t, testKey(routing.Replica), routing.Rules{MaxLag: routing.LagLimit{Bytes: 100}}, 1, Defaults())
	free := w.pool.Queue(w.queue.key, routing.Rules{}, Defaults())
	w.lagsBy(200)
	w.lagsBy(90)
	if got := free.routed(); len(got) != 2 {
		t.Errorf("without a limit it is routed to %v", got)
	}
	if got := w.queue.routed(); !slices.Equal(got, []topology.NodeID{"a"}) {
		t.Errorf("under the limit it is routed to %v", got)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(w.pool.Collector()); err != nil {
		t.Fatal(err)
	}
	const want = `
# HELP pgrouter_node_lagging 1 while the standby gets no reads from listeners with these limits (bytes, seconds; 0: none), because it lags.
# TYPE pgrouter_node_lagging gauge
pgrouter_node_lagging{cluster="main",max_lag="100",max_lag_time="0",node="b"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "pgrouter_node_lagging"); err != nil {
		t.Error(err)
	}
}

func TestOfALagThatNobodyKnowsNothingIsTold(t *testing.T) {
	w := newWorldOf(t, testKey(routing.Replica), routing.Rules{MaxLag: routing.LagLimit{Time: time.Second}}, 1, Defaults())
	for _, known := range []bool{false, true} {
		s := w.picture("a", 1, 1)
		s.Nodes[1].LagTimeKnown = known
		w.publish(s)
		if open := len(w.queue.routed()) == 1; open != known {
			t.Errorf("the lag is known: %v, it is routed to: %v", known, open)
		}
	}
	for _, e := range w.events {
		if e.Kind == event.StandbyLagging || e.Kind == event.StandbyCaughtUp {
			t.Errorf("%+v", e)
		}
	}
}
