package discovery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrouter/pgrouter/metrics"
	"github.com/pgrouter/pgrouter/topology"
)

// meters is what is counted as it happens; the rest is read from the snapshot when it is asked for.
type meters struct {
	seconds  *prometheus.HistogramVec // by node
	failures *prometheus.CounterVec   // by node and reason
	unsaved  prometheus.Counter
}

// probeBuckets go from a fast answer on the same machine to a missed heartbeat after a slow dial.
func probeBuckets() []float64 {
	return []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}
}

func newMeters(cluster topology.ClusterID) *meters {
	labels := prometheus.Labels{"cluster": string(cluster)}
	return &meters{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metrics.Name("probe_seconds"), Help: "How long probes that were answered took.",
			ConstLabels: labels, Buckets: probeBuckets(),
		}, []string{"node"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metrics.Name("probe_failures_total"), Help: "Probes that were not answered, by reason.", ConstLabels: labels,
		}, []string{"node", "reason"}),
		unsaved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metrics.Name("floor_save_failures_total"), Help: "Failures to write the floor file.", ConstLabels: labels,
		}),
	}
}

// probed counts one probe.
func (ms *meters) probed(o topology.Observation, took time.Duration) {
	node := string(o.Node)
	if o.Outcome == topology.OutcomeAnswered {
		ms.seconds.WithLabelValues(node).Observe(took.Seconds())
		return
	}
	ms.failures.WithLabelValues(node, o.Outcome.String()).Inc()
}

// forget drops the series of a node that is no longer a member.
func (ms *meters) forget(node topology.NodeID) {
	labels := prometheus.Labels{"node": string(node)}
	ms.seconds.DeletePartialMatch(labels)
	ms.failures.DeletePartialMatch(labels)
}

// Collector returns the metrics of this cluster, for one registry. Managers of several clusters go into the same registry.
func (m *Manager) Collector() prometheus.Collector {
	constant := prometheus.Labels{"cluster": string(m.cluster)}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(metrics.Name(name), help, labels, constant)
	}
	return &collector{
		manager:  m,
		said:     newWitnesses(desc),
		primary:  desc("cluster_primary", "1 for the node that may take writes.", "node"),
		epoch:    desc("cluster_epoch", "How many primaries the cluster has had."),
		timeline: desc("cluster_timeline", "The highest timeline ever accepted."),
		phase:    desc("cluster_phase", "1 for the phase in which the cluster is.", "phase"),
		alarm:    desc("cluster_alarm", "1 while an operator should look at the cluster."),
		up:       desc("node_up", "1 while the node answers in time.", "node"),
		health:   desc("node_health", "1 for the health that the node has.", "node", "health"),
		refused:  desc("node_refused", "1 while the node may not be used.", "node"),
		lag:      desc("node_lag_bytes", "How far the standby is behind.", "node"),
		waiting:  desc("node_syncrep_waiting", "Commits of the node that wait for a synchronous standby. Not there for standbys.", "node"),
		waited:   desc("node_syncrep_oldest_seconds", "How long the oldest of them has been seen to wait.", "node"),
		stalled:  desc("node_commits_stalled", "1 while commits hang in that wait, or the next one will.", "node"),
		lagTime:  desc("node_lag_seconds", "How old the state is that the standby shows, to the interval of probes.", "node"),
		nodeLine: desc("node_timeline", "The timeline that the node last told.", "node"),
	}
}

type collector struct {
	manager *Manager
	said    *witnesses

	primary, epoch, timeline, phase, alarm      *prometheus.Desc
	waiting, waited, stalled                    *prometheus.Desc
	up, health, refused, lag, lagTime, nodeLine *prometheus.Desc
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.primary, c.epoch, c.timeline, c.phase, c.alarm, c.up, c.health, c.refused, c.lag, c.lagTime, c.nodeLine, c.waiting, c.waited, c.stalled,
	} {
		out <- d
	}
	c.said.describe(out)
	c.manager.metrics.seconds.Describe(out)
	c.manager.metrics.failures.Describe(out)
	c.manager.metrics.unsaved.Describe(out)
}

// Collect is part of prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	snap := c.manager.Snapshot()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(c.epoch, float64(snap.Epoch))
	gauge(c.timeline, float64(snap.Timeline))
	gauge(c.alarm, number(snap.Alarm != ""))
	for p := topology.PhaseUnknown; p <= topology.PhaseSplit; p++ {
		gauge(c.phase, number(snap.Phase == p), p.String())
	}
	for i := range snap.Nodes {
		n := &snap.Nodes[i]
		id := string(n.ID)
		gauge(c.primary, number(n.ID == snap.Primary), id)
		gauge(c.up, number(n.Health == topology.HealthUp), id)
		gauge(c.refused, number(n.Refused != ""), id)
		gauge(c.nodeLine, float64(n.Timeline), id)
		for h := topology.HealthUnknown; h <= topology.HealthDown; h++ {
			gauge(c.health, number(n.Health == h), id, h.String())
		}
		if n.LagKnown {
			gauge(c.lag, float64(n.LagBytes), id)
		}
		if n.Role == topology.RolePrimary {
			gauge(c.waiting, float64(n.SyncWait.Waiting), id)
			gauge(c.waited, n.SyncWaited.Seconds(), id)
			gauge(c.stalled, number(n.Stalled != ""), id)
		}
		if n.LagTimeKnown {
			gauge(c.lagTime, n.LagTime.Seconds(), id)
		}
	}
	c.said.collect(snap, gauge)
	c.manager.metrics.seconds.Collect(out)
	c.manager.metrics.failures.Collect(out)
	c.manager.metrics.unsaved.Collect(out)
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
