package admin

import (
	"context"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/metrics"
)

// journalSize is how many events are remembered.
const journalSize = 256

// Journal remembers the last events, logs each and counts them by kind.
type Journal struct {
	log *slog.Logger
	mu  struct {
		sync.Mutex
		events []event.Event // oldest first
		counts map[event.Kind]uint64
	}
	desc *prometheus.Desc
}

// NewJournal makes an empty one.
func NewJournal(log *slog.Logger) *Journal {
	j := &Journal{log: log, desc: metrics.Desc("events_total", "Events by kind: what happened to clusters, pools and sessions.", "event")}
	j.mu.counts = make(map[event.Kind]uint64)
	return j
}

// Emit takes an event in (event.Sink). It writes to the log: it is not for event loops.
func (j *Journal) Emit(e event.Event) {
	j.write(e)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.counts[e.Kind]++
	j.mu.events = append(j.mu.events, e)
	if len(j.mu.events) > journalSize {
		j.mu.events = append(j.mu.events[:0], j.mu.events[len(j.mu.events)-journalSize:]...)
	}
}

// write logs an event with the fields that it has.
func (j *Journal) write(e event.Event) {
	fields := []any{"event", string(e.Kind)}
	for _, f := range []struct{ key, value string }{
		{"cluster", e.Cluster}, {"node", e.Node}, {"database", e.Database}, {"from", e.From}, {"to", e.To}, {"reason", e.Reason},
	} {
		if f.value != "" {
			fields = append(fields, f.key, f.value)
		}
	}
	if e.Epoch != 0 {
		fields = append(fields, "epoch", e.Epoch)
	}
	if e.Took != 0 {
		fields = append(fields, "took", e.Took)
	}
	if e.Count != 0 {
		fields = append(fields, "count", e.Count)
	}
	j.log.Log(context.Background(), level(e.Kind), "event", fields...) // there is no context: events come from event loops
}

// level says how loud an event is.
func level(k event.Kind) slog.Level {
	switch k {
	case event.SplitBrain, event.ProtocolViolation:
		return slog.LevelError
	case event.PrimaryLost, event.PrimaryDoubtful, event.NodeRefused, event.NodeSuspect, event.NodeDown, event.SwitchoverFailed,
		event.AcceptPaused, event.ConfigRefused, event.SessionCut, event.PauseExpired, event.DatabaseKilled, event.CommitsStalled, event.PeerSilent,
		event.ReadOnlyBegun:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}

// Last returns the remembered events, oldest first.
func (j *Journal) Last() []event.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]event.Event(nil), j.mu.events...)
}

// Describe sends the description (prometheus.Collector).
func (j *Journal) Describe(ch chan<- *prometheus.Desc) { ch <- j.desc }

// Collect sends the counts (prometheus.Collector).
func (j *Journal) Collect(ch chan<- prometheus.Metric) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for kind, n := range j.mu.counts {
		//nolint:forbidigo // a constant metric of the description that metrics.go made
		ch <- prometheus.MustNewConstMetric(j.desc, prometheus.CounterValue, float64(n), string(kind))
	}
}
