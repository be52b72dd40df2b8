package failover

import (
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// signalAge is for how long trouble with servers may be the first sign of what comes after it.
const signalAge = 5 * time.Second

// trouble is that server connections to a node broke.
type trouble struct {
	node topology.NodeID
	at   time.Time
}

// Trouble notes that a server connection to a node could not be opened, broke, or was told that the server shuts down. Any goroutine or
// event loop.
func (c *Conductor) Trouble(node topology.NodeID) {
	now := time.Now()
	if last := c.trouble.Load(); last == nil || last.node != node || now.Sub(last.at) > signalAge {
		c.trouble.Store(&trouble{node, now})
	}
}

// firstSignLocked begins the report of a primary that is lost with what told of it first: a hold that was in force, its servers, the DCS,
// or else its probe.
func (c *Conductor) firstSignLocked(prev, next *topology.Snapshot, now time.Time) Report {
	r := Report{From: prev.Primary, FirstSignal: next.At, Source: SourceSQL, HoldStart: now}
	if prev.Leader == prev.Primary && next.Leader != prev.Primary {
		r.Source = SourceDCS
	}
	if t := c.trouble.Load(); t != nil && t.node == prev.Primary && now.Sub(t.at) <= signalAge {
		r.FirstSignal, r.Source = t.at, SourceServer
	}
	if len(c.mu.holds) > 0 {
		first := c.mu.holds[0]
		r.FirstSignal, r.HoldStart, r.Source, r.Planned, r.Warmed = first.Since, first.Since, SourceOrder, true, first.warmed
		if first.Why == event.HoldRequested {
			r.Source = SourceRequest
		}
	}
	return r
}

// noteLeader notes how the leader key moves.
func (r *Report) noteLeader(s *topology.Snapshot) {
	if s.DCS != topology.DCSHeard {
		return
	}
	if r.LeaderGone.IsZero() && s.Leader != r.From {
		r.LeaderGone = s.At
	}
	if r.LeaderNew.IsZero() && !r.LeaderGone.IsZero() && s.Leader != "" {
		r.LeaderNew = s.At
	}
}
