package failover

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// scraped reads the conductor's metrics, by name and labels: values of counters and gauges, sums of histograms.
func scraped(t *testing.T, c *Conductor) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c.Collector()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := []string{f.GetName()}
			for _, label := range m.GetLabel() {
				if label.GetName() != "cluster" {
					name = append(name, label.GetValue())
				}
			}
			all[strings.Join(name, "/")] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	return all
}

func TestMetricsAddUpWhatTheReportsTell(t *testing.T) {
	c := conduct(t, &world{}, Config{})
	before := scraped(t, c)
	for _, name := range []string{
		"pgrouter_failovers_total/failed_over", "pgrouter_failovers_total/switchover_failed", "pgrouter_failover_units_total/in_doubt",
		"pgrouter_holds/switchover", "pgrouter_holds/ordered", "pgrouter_failover_cut_connections_total",
	} {
		if n, there := before[name]; !there || n != 0 {
			t.Errorf("%s is %v at the beginning (there: %v)", name, n, there)
		}
	}
	c.meters.report(&Report{
		Outcome: OutcomeFailedOver, Cut: 3, Held: 7, InDoubt: 2, Gap: 4 * time.Second, FirstServed: time.Now(), LongestHold: 5 * time.Second,
	})
	c.meters.report(&Report{Outcome: OutcomeGivenUp + ": b:1 is down", Held: 1, Gap: time.Second})
	after := scraped(t, c)
	for name, want := range map[string]float64{
		"pgrouter_failovers_total/failed_over": 1, "pgrouter_failovers_total/switchover_failed": 1, "pgrouter_failovers_total/switched_over": 0,
		"pgrouter_failover_units_total/held": 8, "pgrouter_failover_units_total/in_doubt": 2, "pgrouter_failover_cut_connections_total": 3,
		"pgrouter_failover_gap_seconds": 4, "pgrouter_failover_longest_hold_seconds": 5,
	} {
		if after[name] != want {
			t.Errorf("%s is %v, want %v", name, after[name], want)
		}
	}
	if after["pgrouter_failover_last_timestamp_seconds"] == 0 {
		t.Error("it is not told when")
	}
}

func TestHoldsInForceAreCounted(t *testing.T) {
	w := &world{}
	w.publish("a:1", 1)
	c := conduct(t, w, Config{})
	if _, err := c.Hold(t.Context(), HoldOrder{ID: "x", By: "test", Lease: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if n := scraped(t, c)["pgrouter_holds/ordered"]; n != 1 {
		t.Errorf("%v holds", n)
	}
	c.Release("")
	if n := scraped(t, c)["pgrouter_holds/ordered"]; n != 0 {
		t.Errorf("%v holds after the release", n)
	}
}
