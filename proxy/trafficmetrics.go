package proxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// trafficSeries is one metric of the traffic of each database.
type trafficSeries struct {
	desc  *prometheus.Desc
	value func(t *Traffic) float64
}

// newTrafficSeries is the table of them.
func newTrafficSeries() []trafficSeries {
	count := func(name, help string, of func(t *Traffic) uint64) trafficSeries {
		return trafficSeries{trafficDesc(name, help), func(t *Traffic) float64 { return float64(of(t)) }}
	}
	seconds := func(name, help string, of func(t *Traffic) uint64) trafficSeries {
		return trafficSeries{trafficDesc(name, help), func(t *Traffic) float64 { return time.Duration(of(t)).Seconds() }}
	}
	return []trafficSeries{
		count("server_assignments_total", "Times a client got a server.", func(t *Traffic) uint64 { return t.ServerAssignments }),
		count("transactions_total", "Transactions that have ended.", func(t *Traffic) uint64 { return t.Transactions }),
		count("queries_total", "Queries that were answered.", func(t *Traffic) uint64 { return t.Queries }),
		count("received_bytes_total", "Bytes received from clients.", func(t *Traffic) uint64 { return t.BytesReceived }),
		count("sent_bytes_total", "Bytes sent to clients.", func(t *Traffic) uint64 { return t.BytesSent }),
		seconds("transaction_seconds_total", "Time in transactions.", func(t *Traffic) uint64 { return t.TransactionTime }),
		seconds("query_seconds_total", "Time in which servers had something to answer.", func(t *Traffic) uint64 { return t.QueryTime }),
		seconds("wait_seconds_total", "Time that clients waited for a server.", func(t *Traffic) uint64 { return t.WaitTime }),
		count("client_parses_total", "Statements prepared by clients.", func(t *Traffic) uint64 { return t.ClientParses }),
		count("server_parses_total", "Statements prepared on servers.", func(t *Traffic) uint64 { return t.ServerParses }),
		count("binds_total", "Statements bound by clients.", func(t *Traffic) uint64 { return t.Binds }),
		count("client_logins_total", "Logins of clients.", func(t *Traffic) uint64 { return t.ClientLogins }),
	}
}

func trafficDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("pgrouter_database_"+name, help, []string{"database"}, nil)
}

func (c *collector) collectTraffic(ch chan<- prometheus.Metric) {
	for _, d := range c.proxy.Traffic() {
		for _, s := range c.traffic {
			ch <- prometheus.MustNewConstMetric(s.desc, prometheus.CounterValue, s.value(&d.Traffic), d.Database)
		}
	}
}
