package proxy

import "github.com/prometheus/client_golang/prometheus"

// statementSeries are the metrics of named statements.
type statementSeries struct{ interned, bytes, injected, evicted, healed, replayed *prometheus.Desc }

func newStatementSeries(desc func(name, help string, labels ...string) *prometheus.Desc) statementSeries {
	return statementSeries{
		interned: desc("statements", "Different prepared statements that clients or servers have."),
		bytes:    desc("statement_bytes", "Bytes of their texts."),
		injected: desc("statements_injected_total", "Named statements prepared by the router on a server that did not have them."),
		evicted:  desc("statements_evicted_total", "Named statements closed on a server because it had max_prepared_statements."),
		healed:   desc("statements_healed_total", "Units of work that were sent again because the server's statement was of no use any more."),
		replayed: desc("statements_replayed_total", "Statements of SQL's PREPARE prepared by the router on a server that did not have them."),
	}
}

func (d *statementSeries) describe(ch chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{d.interned, d.bytes, d.injected, d.evicted, d.healed, d.replayed} {
		ch <- one
	}
}

func (c *collector) collectStatements(ch chan<- prometheus.Metric) {
	interned, bytes := c.proxy.prepared.Size()
	n := &c.proxy.metrics.statements
	ch <- prometheus.MustNewConstMetric(c.statements.interned, prometheus.GaugeValue, float64(interned))
	ch <- prometheus.MustNewConstMetric(c.statements.bytes, prometheus.GaugeValue, float64(bytes))
	ch <- prometheus.MustNewConstMetric(c.statements.injected, prometheus.CounterValue, float64(n.injected.Load()))
	ch <- prometheus.MustNewConstMetric(c.statements.evicted, prometheus.CounterValue, float64(n.evicted.Load()))
	ch <- prometheus.MustNewConstMetric(c.statements.healed, prometheus.CounterValue, float64(n.healed.Load()))
	ch <- prometheus.MustNewConstMetric(c.statements.replayed, prometheus.CounterValue, float64(n.replayed.Load()))
}
