package metrics_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrouter/pgrouter/metrics"
)

// scrape returns what a registry serves.
func scrape(t *testing.T, r *metrics.Registry) string {
	t.Helper()
	server := httptest.NewServer(r.Handler())
	defer server.Close()
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, error %v: %s", response.StatusCode, err, body)
	}
	return string(body)
}

func newRegistry(t *testing.T) *metrics.Registry {
	t.Helper()
	r, err := metrics.New()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNewRegistryServesRuntimeAndProcess(t *testing.T) {
	body := scrape(t, newRegistry(t))
	for _, name := range []string{"go_goroutines ", "process_open_fds ", "process_start_time_seconds "} {
		if !strings.Contains(body, "\n"+name) {
			t.Errorf("%s is not served", name)
		}
	}
}

func TestRegisteredCounterIsServedUnderTheHousesName(t *testing.T) {
	r := newRegistry(t)
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: metrics.Name("things_total"), Help: "Things."})
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	c.Add(3)
	if body := scrape(t, r); !strings.Contains(body, "\npgrouter_things_total 3\n") {
		t.Errorf("not served:\n%s", body)
	}
}

func TestRegisterAnswersTwiceTheSameWithAnErrorInsteadOfPanic(t *testing.T) {
	r := newRegistry(t)
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: metrics.Name("things_total"), Help: "Things."})
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	if err := r.Register(c); err == nil || !strings.Contains(err.Error(), "register metrics") {
		t.Errorf("error %v", err)
	}
}

// halfBroken gives one metric that is right and one that cannot be made.
type halfBroken struct{ good, bad *prometheus.Desc }

func (h halfBroken) Describe(ch chan<- *prometheus.Desc) { ch <- h.good; ch <- h.bad }

func (h halfBroken) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(h.good, prometheus.GaugeValue, 1, "a")
	ch <- prometheus.NewInvalidMetric(h.bad, io.ErrUnexpectedEOF)
}

func TestHandlerServesTheRestWhenAMetricFails(t *testing.T) {
	r := newRegistry(t)
	if err := r.Register(halfBroken{metrics.Desc("good", "Good.", "of"), metrics.Desc("bad", "Bad.")}); err != nil {
		t.Fatal(err)
	}
	if body := scrape(t, r); !strings.Contains(body, "\npgrouter_good{of=\"a\"} 1\n") {
		t.Errorf("not served:\n%s", body)
	}
}
