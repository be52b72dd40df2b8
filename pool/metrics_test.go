package pool

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/pgrouter/pgrouter/pgwire"
)

func TestMetricsAddUpQueuesThatDifferInNoLabel(t *testing.T) {
	w, c := opened(t, 1, 2, 3)
	for _, x := range c {
		x.acquire()
	}
	w.dialAll()
	c[1].release(Clean)
	key := w.queue.key
	key.Options = "geqo=off"
	other := w.pool.Queue(key, w.queue.rules, Defaults())
	if s, err := other.Acquire(&Waiter{Loop: w.loops[0]}); s != nil || err != nil {
		t.Fatal("expected a place")
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(w.pool.Collector()); err != nil {
		t.Fatal(err)
	}
	const want = `
# HELP pgrouter_pool_acquires_total Units of work that asked for a server.
# TYPE pgrouter_pool_acquires_total counter
pgrouter_pool_acquires_total{cluster="main",database="db",route="primary",user="u"} 4
# HELP pgrouter_pool_queues Queues that there are: one for each set of start-up options.
# TYPE pgrouter_pool_queues gauge
pgrouter_pool_queues{cluster="main",database="db",route="primary",user="u"} 2
# HELP pgrouter_pool_servers Server connections by state.
# TYPE pgrouter_pool_servers gauge
pgrouter_pool_servers{cluster="main",database="db",node="a",route="primary",state="cancel_pending",user="u"} 0
pgrouter_pool_servers{cluster="main",database="db",node="a",route="primary",state="dialing",user="u"} 1
pgrouter_pool_servers{cluster="main",database="db",node="a",route="primary",state="idle",user="u"} 0
pgrouter_pool_servers{cluster="main",database="db",node="a",route="primary",state="linked",user="u"} 2
pgrouter_pool_servers{cluster="main",database="db",node="a",route="primary",state="resetting",user="u"} 0
# HELP pgrouter_pool_waiting Clients that wait for a server now.
# TYPE pgrouter_pool_waiting gauge
pgrouter_pool_waiting{cluster="main",database="db",reason="exhausted",route="primary",user="u"} 1
# HELP pgrouter_pool_faults_total Misuses of the pool and broken invariants. Must stay 0.
# TYPE pgrouter_pool_faults_total counter
pgrouter_pool_faults_total 0
`
	err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"pgrouter_pool_acquires_total", "pgrouter_pool_queues", "pgrouter_pool_servers", "pgrouter_pool_waiting", "pgrouter_pool_faults_total")
	if err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestNothingIsAllocatedForeverByStrangeLastWords(t *testing.T) {
	// A server may send megabytes into a reset; what is kept of an unfinished message is bounded.
	w, c := opened(t, 1, 1, 1)
	c[0].acquire()
	w.dialAll()
	s := c[0].server
	c[0].release(Dirty)
	x := w.wireByServer(s)
	huge := pgwire.AppendDataRow(nil, []string{strings.Repeat("x", 2*maxResetAnswer)})
	w.say(x, huge[:maxResetAnswer+pgwire.HeaderLen+1])
	if s.state != stateClosed || w.closedFor(closedReset) != 1 {
		t.Errorf("it is %s with %d bytes kept", s.state, len(s.answer))
	}
}
