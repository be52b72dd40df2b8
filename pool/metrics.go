package pool

import (
	"cmp"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
)

// collector turns Stats into metrics at each scrape: nothing is counted twice, nothing costs anything between scrapes.
type collector struct {
	pool *Pool

	queues, servers, size, waiting, oldest           *prometheus.Desc
	acquires, waits, waitSeconds, gaveUp, refused    *prometheus.Desc
	dials, moves, resets, closed, violations, faults *prometheus.Desc
	connections, limit, turned                       *prometheus.Desc
	paused, lagging, standIn, fallback               *prometheus.Desc
}

// Collector returns the pool's metrics, to be registered once.
func (p *Pool) Collector() prometheus.Collector {
	queue := []string{"cluster", "route", "database", "user"}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append(append([]string(nil), queue...), labels...), nil)
	}
	return &collector{
		pool:        p,
		queues:      desc("pgrouter_pool_queues", "Queues that there are: one for each set of start-up options."),
		servers:     desc("pgrouter_pool_servers", "Server connections by state.", "node", "state"),
		size:        desc("pgrouter_pool_size", "Limit of server connections per node."),
		fallback:    desc("pgrouter_pool_fallback", "1 while the primary serves reads for want of a standby."),
		waiting:     desc("pgrouter_pool_waiting", "Clients that wait for a server now.", "reason"),
		standIn:     desc("pgrouter_pool_read_only", "1 while a standby serves in the place of a primary (no_primary), 0 otherwise. For the route primary."),
		oldest:      desc("pgrouter_pool_oldest_wait_seconds", "How long the first in the line has waited."),
		acquires:    desc("pgrouter_pool_acquires_total", "Units of work that asked for a server."),
		waits:       desc("pgrouter_pool_waits_total", "Units of work that had to wait for a server."),
		waitSeconds: desc("pgrouter_pool_wait_seconds_total", "Sum of the waits that ended with a server."),
		gaveUp:      desc("pgrouter_pool_gave_up_total", "Units of work that waited and gave up."),
		refused:     desc("pgrouter_pool_refused_total", "Units of work that were refused a server.", "reason"),
		dials:       desc("pgrouter_pool_dials_total", "Attempts to open a server connection.", "result"),
		moves:       desc("pgrouter_pool_moves_total", "Hand-overs of a server connection to another event loop."),
		resets:      desc("pgrouter_pool_resets_total", "Server connections reset after use."),
		closed:      desc("pgrouter_pool_closed_total", "Server connections closed.", "reason"),
		violations:  desc("pgrouter_pool_protocol_violations_total", "Messages that a server must not send while it is idle or reset. Must stay 0."),
		paused:      prometheus.NewDesc("pgrouter_paused", "1 while an operator holds new work for the database.", []string{"database"}, nil),
		lagging: prometheus.NewDesc("pgrouter_node_lagging",
			"1 while the standby gets no reads from listeners with these limits (bytes, seconds; 0: none), because it lags.",
			[]string{"cluster", "node", "max_lag", "max_lag_time"}, nil),
		connections: prometheus.NewDesc("pgrouter_server_connections", "Server connections of all queues, open or being opened.", nil, nil),
		limit:       prometheus.NewDesc("pgrouter_server_connections_limit", "Limit of server connections (max_server_connections), 0: none.", nil, nil),
		turned: prometheus.NewDesc("pgrouter_server_connections_refused_total",
			"Times that a limit left no room for another server connection.", []string{"limit"}, nil),
		faults: prometheus.NewDesc("pgrouter_pool_faults_total", "Misuses of the pool and broken invariants. Must stay 0.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.queues, c.servers, c.size, c.waiting, c.oldest, c.acquires, c.waits, c.waitSeconds, c.gaveUp, c.refused, c.dials, c.moves, c.resets,
		c.closed, c.violations, c.faults, c.paused, c.lagging, c.standIn, c.fallback, c.connections, c.limit, c.turned,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	for _, st := range c.pool.sums() {
		c.collect(out, st)
	}
	for _, name := range c.pool.PausedNames() {
		out <- prometheus.MustNewConstMetric(c.paused, prometheus.GaugeValue, 1, cmp.Or(name, event.AllDatabases))
	}
	c.collectLag(out)
	all := c.pool.Connections()
	out <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, float64(all.Used))
	out <- prometheus.MustNewConstMetric(c.limit, prometheus.GaugeValue, float64(all.Limit))
	for s, n := range c.pool.limits.turnedAway() {
		out <- prometheus.MustNewConstMetric(c.turned, prometheus.CounterValue, float64(n), scope(s).String())
	}
	out <- prometheus.MustNewConstMetric(c.faults, prometheus.CounterValue, float64(c.pool.Faults()))
}

func (c *collector) collectLag(out chan<- prometheus.Metric) {
	for id, view := range c.pool.views() {
		view.lagging.each(func(limit routing.LagLimit, l routing.Laggard) {
			out <- prometheus.MustNewConstMetric(c.lagging, prometheus.GaugeValue, 1, string(id), string(l.Node),
				strconv.FormatUint(limit.Bytes, 10), strconv.FormatFloat(limit.Time.Seconds(), 'f', -1, 64))
		})
	}
}

func (c *collector) collect(out chan<- prometheus.Metric, st sum) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, more ...string) {
		values := append([]string{string(st.cluster), st.route.String(), st.database, st.user}, more...)
		out <- prometheus.MustNewConstMetric(d, kind, v, values...)
	}
	count := func(d *prometheus.Desc, v uint64, more ...string) {
		send(d, prometheus.CounterValue, float64(v), more...)
	}
	gauge := func(d *prometheus.Desc, v float64, more ...string) { send(d, prometheus.GaugeValue, v, more...) }
	gauge(c.queues, float64(st.queues))
	if st.queues > 0 {
		gauge(c.size, float64(st.Size))
	}
	if st.route == routing.Primary {
		standIn := 0.0
		if st.StandIn != "" {
			standIn = 1
		}
		gauge(c.standIn, standIn)
	}
	if st.Fallback {
		gauge(c.fallback, 1)
	}
	gauge(c.waiting, float64(st.Waiting), st.Reason.String())
	gauge(c.oldest, st.Oldest.Seconds())
	for _, n := range st.Nodes {
		node := string(n.Node)
		gauge(c.servers, float64(n.Idle), node, "idle")
		gauge(c.servers, float64(n.Linked), node, "linked")
		gauge(c.servers, float64(n.Resetting), node, "resetting")
		gauge(c.servers, float64(n.CancelPending), node, "cancel_pending")
		gauge(c.servers, float64(n.Dialing), node, "dialing")
	}
	count(c.acquires, st.Acquires)
	count(c.waits, st.Waits)
	send(c.waitSeconds, prometheus.CounterValue, st.Waited.Seconds())
	count(c.gaveUp, st.GaveUp)
	count(c.refused, st.Refused, "server")
	count(c.refused, st.Full, "queue_full")
	count(c.dials, st.DialsOK, "ok")
	count(c.dials, st.DialsFailed, "failed")
	count(c.dials, st.DialsOff, "off")
	count(c.moves, st.Moves)
	count(c.resets, st.Resets)
	for _, r := range st.Closed {
		count(c.closed, r.Count, r.Reason)
	}
	count(c.violations, st.Violations)
}
