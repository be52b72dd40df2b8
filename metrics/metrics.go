package metrics

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Prefix begins the name of every metric of the house. Names are in base units (seconds, bytes) and those of counters end in
// _total.
const Prefix = "pgrouter_"

// Name returns the full name of a metric: Name("events_total") is "pgrouter_events_total".
func Name(name string) string { return Prefix + name }

// Desc describes a metric of the house for a collector that makes its values when it is scraped.
func Desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(Name(name), help, labels, nil)
}

// Registry holds collectors. Two routers in one process (tests, the demo) have one each.
type Registry struct {
	registry *prometheus.Registry
}

// New returns a registry that has the metrics of the Go runtime (go_…) and of the process (process_…) in it.
func New() (*Registry, error) {
	r := &Registry{registry: prometheus.NewRegistry()}
	err := r.Register(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Register adds collectors, in order. The error says which metric is invalid or registered already; the collectors before it
// stay.
func (r *Registry) Register(cs ...prometheus.Collector) error {
	for _, c := range cs {
		if err := r.registry.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// Unregister takes out a collector whose metrics are those of c.
func (r *Registry) Unregister(c prometheus.Collector) { r.registry.Unregister(c) }

// Gatherer returns the reading side, for whoever serves or checks the metrics in another way.
func (r *Registry) Gatherer() prometheus.Gatherer { return r.registry }

// Handler serves all metrics in the text formats that Prometheus asks for. A collector that fails spoils its own metrics
// only: the rest is served.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
