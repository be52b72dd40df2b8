package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Report is what the demo found. Its JSON is read by other programs: keys are only ever added.
type Report struct {
	Started        time.Time        `json:"started"`
	ReadySeconds   float64          `json:"ready_seconds"`
	PostgreSQL     string           `json:"postgresql"`
	Cluster        string           `json:"cluster"` // what it is, in words
	Nodes          []string         `json:"nodes"`
	Clients        int              `json:"clients"`
	Lost           int64            `json:"lost"`             // acknowledged but absent
	Doubled        int64            `json:"doubled"`          // there more than once
	Ghosts         int64            `json:"ghosts"`           // certainly failed but present
	Torn           int64            `json:"torn"`             // half a transaction is there
	Alien          int64            `json:"alien"`            // present but never sent
	Mixed          int64            `json:"mixed"`            // answers that were another client's
	Acknowledged   int64            `json:"acknowledged"`     // writes
	Failed         int64            `json:"failed"`           // writes
	InDoubt        int64            `json:"in_doubt"`         // writes of which nobody told the client
	InDoubtPresent int64            `json:"in_doubt_present"` // those that are there
	Operations     int64            `json:"operations"`       // writes and lookups that were answered well
	Reconnects     int64            `json:"reconnects"`
	Errors         map[string]int64 `json:"errors"` // by SQLSTATE, or lost, refused, timeout
	Events         []EventReport    `json:"events"`
	Faults         []string         `json:"faults"` // what must not be: examples from the ledger, events without an end
}

// EventReport is one failover or switchover. Times are milliseconds since its begin; null says that it was not seen.
type EventReport struct {
	Kind               string                `json:"kind"` // failover or switchover
	At                 time.Time             `json:"at"`
	From               string                `json:"from"`
	To                 string                `json:"to"`
	Detected           *float64              `json:"detected_ms"`             // the router noticed
	NewPrimaryWritable *float64              `json:"new_primary_writable_ms"` // the new primary left recovery
	NewPrimaryProven   *float64              `json:"new_primary_proven_ms"`   // the router says so
	FirstWriteServed   *float64              `json:"first_write_served_ms"`   // a client's write was acknowledged by it
	Over               float64               `json:"over_ms"`                 // the old primary is back as a standby
	WithoutWrite       float64               `json:"without_write_ms"`        // longest stretch without an acknowledged write
	Held               int64                 `json:"held"`                    // operations that waited and were then served
	HeldMax            float64               `json:"held_max_ms"`             //
	Served             int64                 `json:"served"`                  // operations answered well, the held ones included
	Failed             int64                 `json:"failed"`                  // operations that certainly failed
	InDoubt            int64                 `json:"in_doubt"`                //
	Errors             map[string]int64      `json:"errors"`                  //
	Reconnects         int64                 `json:"reconnects"`              //
	Latency            map[string]Percentile `json:"latency"`                 // before, during, after
	Timeline           []TimelineEntry       `json:"timeline"`                //
	Error              string                `json:"error,omitempty"`         //
}

// Percentile holds latencies of operations that were answered well.
type Percentile struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// TimelineEntry is one thing that demo, supervisor, Patroni or router told.
type TimelineEntry struct {
	At     float64 `json:"at_ms"`
	Source string  `json:"source"`
	Kind   string  `json:"kind"`
	Node   string  `json:"node,omitempty"`
	Text   string  `json:"text,omitempty"`
}

// ErrFound says that a report holds what must not be.
var ErrFound = errors.New("the demo found faults")

func (r *Report) err() error {
	if len(r.Faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %q", ErrFound, r.Faults)
}

func (r *Report) save(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// report proves the ledger and puts everything together. The load must have ended.
func (s *stage) report(ctx context.Context) (*Report, error) {
	primary, err := s.findPrimary(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := primary.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	verdict, err := s.load.Verify(ctx, conn)
	if err != nil {
		return nil, err
	}
	total := s.load.Total()
	r := &Report{
		Started: s.begun, ReadySeconds: s.ready.Seconds(), PostgreSQL: s.version, Cluster: s.ground.String(), Clients: s.options.Clients,
		Lost: verdict.Lost, Doubled: verdict.Doubled, Ghosts: verdict.Ghosts, Torn: verdict.Torn, Alien: verdict.Alien,
		Mixed: verdict.Mixed, Acknowledged: verdict.Acknowledged, Failed: verdict.Failed, InDoubt: verdict.Unknown,
		InDoubtPresent: verdict.UnknownPresent, Operations: total.Acknowledged, Reconnects: total.Reconnects,
		Errors: filled(total.Errors), Events: []EventReport{}, Faults: []string{},
	}
	for _, n := range s.ground.nodes() {
		r.Nodes = append(r.Nodes, n.Addr())
	}
	if err := verdict.Err(); err != nil {
		r.Faults = append(r.Faults, err.Error())
	}
	windows := s.load.Windows()
	for _, e := range s.episodes() {
		r.Events = append(r.Events, e.report(windows))
		if e.err != nil && !errors.Is(e.err, errBrokenOff) {
			r.Faults = append(r.Faults, e.kind+": "+e.err.Error())
		}
	}
	return r, nil
}

// findPrimary waits for the primary: somebody may have quit in the middle of an event.
func (s *stage) findPrimary(ctx context.Context) (node, error) {
	limit, cancel := context.WithTimeoutCause(ctx, openLimit, testcluster.ErrNoPrimary)
	defer cancel()
	var primary node
	err := until(limit, func() bool {
		found, err := s.ground.findPrimary(limit)
		primary = found
		return err == nil
	})
	return primary, err
}

func (e *episode) report(windows []ledger.Window) EventReport {
	during := windows[e.window]
	proven := first(e.entries, sourceRouter, string(event.PrimaryChanged))
	r := EventReport{
		Kind: e.kind, At: e.begun, From: e.from.Addr(), To: e.to.Addr(), Over: milliseconds(e.ended.Sub(e.begun)),
		Detected:           e.after(first(e.entries, sourceRouter, detecting()...)),
		NewPrimaryWritable: e.after(e.writable(proven)),
		NewPrimaryProven:   e.after(proven),
		FirstWriteServed:   e.after(firstServed(&during, proven)),
		WithoutWrite:       milliseconds(during.Gap.Length()),
		Held:               during.Held, HeldMax: milliseconds(during.HeldMax), Served: during.Acknowledged, Failed: during.Failed,
		InDoubt: during.Unknown, Errors: filled(during.Errors), Reconnects: during.Reconnects,
		Latency: map[string]Percentile{"before": percentile(windows, e.window-1), "during": percentile(windows, e.window),
			"after": percentile(windows, e.window+1)},
	}
	for _, t := range e.entries {
		r.Timeline = append(r.Timeline, TimelineEntry{At: milliseconds(t.at.Sub(e.begun)), Source: t.source, Kind: t.kind, Node: t.node, Text: t.text})
	}
	if e.err != nil {
		r.Error = e.err.Error()
	}
	return r
}

// writable returns when the new primary left recovery: as the supervisor or Patroni told it, or as the router proved it,
// whichever came first, since those are only looked at now and then.
func (e *episode) writable(proven time.Time) time.Time {
	seen := kept(e.entries, testcluster.Promoted)
	if seen.IsZero() || !proven.IsZero() && proven.Before(seen) {
		return proven
	}
	return seen
}

// firstServed returns when the new primary's first write was acknowledged. The longest stretch without a write may have ended
// before: while a busy machine lets running work end, for one.
func firstServed(during *ledger.Window, proven time.Time) time.Time {
	if proven.IsZero() {
		return proven
	}
	return during.FirstWrite(proven)
}

// after returns milliseconds since the begin; nil for what did not happen.
func (e *episode) after(t time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	ms := milliseconds(t.Sub(e.begun))
	return &ms
}

func percentile(windows []ledger.Window, i int) Percentile {
	if i < 0 || i >= len(windows) {
		return Percentile{}
	}
	all := windows[i].All()
	const median, tail = 0.50, 0.99
	return Percentile{Count: all.Count(), P50: milliseconds(all.Quantile(median)), P99: milliseconds(all.Quantile(tail)), Max: milliseconds(all.Max())}
}

// milliseconds with three digits behind the point.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

func filled(m map[string]int64) map[string]int64 {
	if m == nil {
		return map[string]int64{}
	}
	return m
}
