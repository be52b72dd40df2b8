package failover

import (
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/topology"
)

// reportTick is how often an open report is looked at.
const reportTick = 100 * time.Millisecond

// calmTick is how often the counters are read while nothing goes on: it looks at every client.
const calmTick = 500 * time.Millisecond

// servedLimit bounds how long a report stays open for the first write after the release.
const servedLimit = 10 * time.Second

// Counters are running totals of what happens to clients and writes; a report tells their growth.
type Counters struct {
	Units       uint64 // units of work that have ended on primary routes
	Held        uint64 // units that had to wait
	HoldExpired uint64
	Replayed    uint64
	Requeued    uint64
	Aborted     uint64 // told 57P01
	InDoubt     uint64 // told 08007
	Waits       pool.Waits
}

// Report is the account of one change of primary, from the first sign to the first served unit of work. Times that have not
// come are zero.
type Report struct {
	Cluster     topology.ClusterID `json:"cluster"`
	Planned     bool               `json:"planned"`
	From        topology.NodeID    `json:"from"`
	To          topology.NodeID    `json:"to"`
	Epoch       topology.Epoch     `json:"epoch"`
	FirstSignal time.Time          `json:"first_signal"`          // of what was to come
	Source      Source             `json:"source"`                // what that sign was
	HoldStart   time.Time          `json:"hold_start"`            // from here on no new unit of work went to the old primary
	Drained     time.Time          `json:"drained,omitzero"`      // of a switchover that was ordered here: nothing ran there any more
	LeaderGone  time.Time          `json:"leader_gone,omitzero"`  // the old primary did not hold the leader key any more
	LeaderNew   time.Time          `json:"leader_new,omitzero"`   // who is the primary now did
	Writable    time.Time          `json:"writable,omitzero"`     // the new primary was proven
	FirstServed time.Time          `json:"first_served,omitzero"` // the first unit of work after that had ended: seen at the next reportTick
	Cut         int                `json:"cut"`
	Held        uint64             `json:"held"`
	Expired     uint64             `json:"expired"`
	Replayed    uint64             `json:"replayed"`
	Requeued    uint64             `json:"requeued"`
	Aborted     uint64             `json:"aborted"`
	InDoubt     uint64             `json:"in_doubt"`
	Gap         time.Duration      `json:"gap_ns"`                    // hold start to first served
	LongestHold time.Duration      `json:"longest_hold_ns"`           // of the units that waited for the primary, rounded up by an eighth at most
	P99Hold     time.Duration      `json:"p99_hold_ns"`               // 99 of 100 of them did not wait longer, rounded in the same way
	Warmed      int                `json:"warmed,omitzero"`           // connections to the new primary that were being opened before it was one
	Unreached   []string           `json:"peers_unreached,omitempty"` // other routers that could not be asked to hold
	Outcome     string             `json:"outcome"`                   // one of the outcomes
}

// The outcomes of a change of primary.
const (
	OutcomeSwitched   = "switched_over"
	OutcomeFailedOver = "failed_over"
	OutcomeReturned   = "primary_returned"  // the same node is the primary again
	OutcomeGivenUp    = "switchover_failed" // then a colon, and why
)

// Source is what the first sign of a change of primary was.
type Source string

// The sources.
const (
	SourceOrder   Source = "order"   // a switchover or failover that was ordered here
	SourceRequest Source = "request" // Patroni was asked to move the primary
	SourceServer  Source = "server"  // server connections to the primary broke, or said that it shuts down
	SourceDCS     Source = "dcs"     // the primary held the leader key no more
	SourceSQL     Source = "sql"     // the probe of the primary failed, or saw it changed
)

// Reports returns the last reports, oldest first.
func (c *Conductor) Reports() []Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mu.reports)
}

// report opens a report when the primary is lost and notes when another is proven. It comes before the pool is told, so that
// what is counted from then on was done by the new primary.
func (c *Conductor) report(prev, next *topology.Snapshot) {
	now := time.Now()
	lost := prev != nil && prev.Primary != "" && next.Primary != prev.Primary
	c.mu.Lock()
	defer c.mu.Unlock()
	if lost && c.mu.open == nil {
		c.openLocked(c.firstSignLocked(prev, next, now))
	}
	open := c.mu.open
	if open == nil {
		return
	}
	open.noteLeader(next)
	if next.Primary == "" || next.Phase != topology.PhaseSteady {
		return
	}
	if c.mu.switching != nil && next.Primary == open.From {
		return // it has not gone yet
	}
	if open.Writable.IsZero() {
		open.To, open.Epoch, open.Writable = next.Primary, next.Epoch, next.Since
		if next.Since.Before(open.HoldStart) { // lost and found in one snapshot: nothing was held before
			open.Writable = open.HoldStart
		}
		c.mu.before.Units = c.deps.Counters().Units
	}
}

func (c *Conductor) openLocked(r Report) {
	r.Cluster = c.cluster
	c.mu.open = &r
	c.mu.before = c.mu.calm
	if c.mu.before == (Counters{}) {
		c.mu.before = c.deps.Counters()
	}
}

func (c *Conductor) noteCut(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.open != nil {
		c.mu.open.Cut += n
	}
}

// settleReport closes the open report when the first unit of work after the change has ended.
func (c *Conductor) settleReport(now time.Time) {
	c.mu.Lock()
	done, ok := c.settleLocked(now)
	c.mu.Unlock()
	if !ok {
		return
	}
	c.deps.Logger.Info("failover report", "cluster", string(done.Cluster), "from", string(done.From), "to", string(done.To),
		"planned", done.Planned, "gap", done.Gap, "held", done.Held, "expired", done.Expired, "cut", done.Cut,
		"in_doubt", done.InDoubt, "aborted", done.Aborted, "replayed", done.Replayed, "outcome", done.Outcome)
	c.deps.Events.Emit(event.Event{
		Kind: event.FailoverReported, Cluster: string(done.Cluster), From: string(done.From), To: string(done.To),
		Epoch: uint64(done.Epoch), Took: done.Gap, Reason: done.Outcome, Count: int(done.Held),
	})
}

func (c *Conductor) settleLocked(now time.Time) (Report, bool) {
	open := c.mu.open
	if open == nil { // sessions lose their servers before the loss is understood: what was counted a moment ago is the baseline
		if now.Sub(c.mu.looked) >= calmTick && len(c.mu.holds) == 0 {
			c.mu.calm, c.mu.calmer, c.mu.looked = c.mu.calmer, c.deps.Counters(), now
		}
		return Report{}, false
	}
	if open.Writable.IsZero() || c.mu.switching != nil {
		return Report{}, false
	}
	got := c.deps.Counters()
	if got.Units == c.mu.before.Units && now.Sub(open.Writable) < servedLimit {
		return Report{}, false
	}
	if got.Units > c.mu.before.Units {
		open.FirstServed = now
		open.Gap = now.Sub(open.HoldStart)
	}
	c.closeLocked(got)
	return c.mu.reports[len(c.mu.reports)-1], true
}

func (c *Conductor) closeLocked(got Counters) {
	open, before := c.mu.open, c.mu.before
	open.Held = got.Held - before.Held
	open.Expired = got.HoldExpired - before.HoldExpired
	open.Replayed = got.Replayed - before.Replayed
	open.Requeued = got.Requeued - before.Requeued
	open.Aborted = got.Aborted - before.Aborted
	open.InDoubt = got.InDoubt - before.InDoubt
	waits := got.Waits.Since(&before.Waits)
	open.LongestHold, open.P99Hold = waits.Longest(), waits.Percent99()
	if open.Outcome == "" {
		open.Outcome = outcomeOf(open)
	}
	c.meters.report(open)
	c.mu.reports = append(c.mu.reports, *open)
	if len(c.mu.reports) > reportsKept {
		c.mu.reports = slices.Delete(c.mu.reports, 0, len(c.mu.reports)-reportsKept)
	}
	c.mu.open = nil
}

func outcomeOf(r *Report) string {
	switch {
	case r.From == r.To:
		return OutcomeReturned
	case r.Planned:
		return OutcomeSwitched
	}
	return OutcomeFailedOver
}
