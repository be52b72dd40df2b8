package failover

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/metrics"
	"github.com/pgrouter/pgrouter/topology"
)

// meters add the reports up. Each is there from the beginning, so that a first failover shows as a change.
type meters struct {
	ended *prometheus.CounterVec // by outcome
	units *prometheus.CounterVec // by what has become of them
	cut   prometheus.Counter
	gap   prometheus.Histogram
	hold  prometheus.Histogram // the longest of each
	last  prometheus.Gauge
}

// gapBuckets go from a switchover under way to a failover that clients have given up on.
func gapBuckets() []float64 {
	return []float64{0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300}
}

func newMeters(cluster topology.ClusterID) *meters {
	labels := prometheus.Labels{"cluster": string(cluster)}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: metrics.Name(name), Help: help, ConstLabels: labels}
	}
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: metrics.Name(name), Help: help, ConstLabels: labels, Buckets: gapBuckets()})
	}
	m := &meters{
		ended: prometheus.NewCounterVec(counter("failovers_total", "Changes of primary, by outcome."), []string{"outcome"}),
		units: prometheus.NewCounterVec(counter("failover_units_total", "Units of work that a change of primary concerned, by what has become of them."), []string{"result"}),
		cut:   prometheus.NewCounter(counter("failover_cut_connections_total", "Server connections cut in changes of primary.")),
		gap:   histogram("failover_gap_seconds", "How long a change of primary took, from the hold to the first unit of work that the new primary has served."),
		hold:  histogram("failover_longest_hold_seconds", "How long the unit of work waited that waited longest in a change of primary."),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: metrics.Name("failover_last_timestamp_seconds"), Help: "When the last change of primary was reported; 0: there was none.", ConstLabels: labels,
		}),
	}
	for _, outcome := range []string{OutcomeSwitched, OutcomeFailedOver, OutcomeReturned, OutcomeGivenUp} {
		m.ended.WithLabelValues(outcome)
	}
	m.count(&Report{})
	return m
}

// report adds one report.
func (m *meters) report(r *Report) {
	outcome, _, _ := strings.Cut(r.Outcome, ":")
	m.ended.WithLabelValues(outcome).Inc()
	m.count(r)
	m.cut.Add(float64(r.Cut))
	if !r.FirstServed.IsZero() {
		m.gap.Observe(r.Gap.Seconds())
	}
	m.hold.Observe(r.LongestHold.Seconds())
	m.last.SetToCurrentTime()
}

// count adds a report's units of work.
func (m *meters) count(r *Report) {
	for result, n := range map[string]uint64{
		"held": r.Held, "expired": r.Expired, "replayed": r.Replayed, "requeued": r.Requeued, "aborted": r.Aborted, "in_doubt": r.InDoubt,
	} {
		m.units.WithLabelValues(result).Add(float64(n))
	}
}

// all are the meters as collectors.
func (m *meters) all() []prometheus.Collector {
	return []prometheus.Collector{m.ended, m.units, m.cut, m.gap, m.hold, m.last}
}

// Collector returns the metrics of this cluster's changes of primary and holds, for one registry.
func (c *Conductor) Collector() prometheus.Collector {
	return &collector{conductor: c, holds: prometheus.NewDesc(metrics.Name("holds"), "Holds in force, by reason: no new unit of work begins on the primary.",
		[]string{"reason"}, prometheus.Labels{"cluster": string(c.cluster)})}
}

type collector struct {
	conductor *Conductor
	holds     *prometheus.Desc
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.holds
	for _, m := range c.conductor.meters.all() {
		m.Describe(out)
	}
}

// Collect is part of prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	count := map[event.HoldReason]int{event.HoldSwitchover: 0, event.HoldRequested: 0, event.HoldOrdered: 0}
	for _, h := range c.conductor.Holds() {
		count[h.Why]++
	}
	for why, n := range count {
		out <- prometheus.MustNewConstMetric(c.holds, prometheus.GaugeValue, float64(n), why.String())
	}
	for _, m := range c.conductor.meters.all() {
		m.Collect(out)
	}
}
