package routing

import (
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// LagLimit is how far a standby may be behind and still get reads. 0 is no limit.
type LagLimit struct {
	Bytes uint64
	Time  time.Duration
}

// Laggard is a standby that gets no reads because it lags.
type Laggard struct {
	Node  topology.NodeID
	Since time.Time
	Known bool // it was seen to lag; otherwise nobody knows how far it is behind, as at the start
}

// Laggards returns the standbys that are too far behind, in the snapshot's order, given those that were so until now: who has been shut
// out comes back only when it is below three quarters of the limit, so that it does not come and go. A lag that is not known is too much.
// A node that cannot be used is not judged: it stays what it was.
func Laggards(limit LagLimit, snap *topology.Snapshot, before []Laggard) []Laggard {
	if limit == (LagLimit{}) || snap == nil {
		return nil
	}
	var out []Laggard
	for i := range snap.Nodes {
		n := &snap.Nodes[i]
		was := find(before, n.ID)
		switch {
		case n.Role != topology.RoleStandby || n.ID == snap.Primary:
		case !n.Usable():
			if was != nil {
				out = append(out, *was)
			}
		case limit.exceeded(n) || was != nil && was.Known && limit.lowered().exceeded(n):
			now := Laggard{Node: n.ID, Since: snap.At, Known: limit.tells(n)}
			if was != nil {
				now.Since, now.Known = was.Since, was.Known || now.Known
			}
			out = append(out, now)
		}
	}
	return out
}

func find(all []Laggard, id topology.NodeID) *Laggard {
	for i := range all {
		if all[i].Node == id {
			return &all[i]
		}
	}
	return nil
}

// exceeded reports whether a standby is behind by more than the limit, for all that is known.
func (l LagLimit) exceeded(n *topology.Node) bool {
	return !l.tells(n) || l.Bytes > 0 && n.LagBytes > l.Bytes || l.Time > 0 && n.LagTime > l.Time
}

// tells reports whether enough is known of a standby to judge it.
func (l LagLimit) tells(n *topology.Node) bool {
	return (l.Bytes == 0 || n.LagKnown) && (l.Time == 0 || n.LagTimeKnown)
}

// returnBelow is the part of a limit by which a standby must be below it to come back: a quarter.
const returnBelow = 4

// lowered returns the limit for those that come back.
func (l LagLimit) lowered() LagLimit {
	return LagLimit{Bytes: l.Bytes - l.Bytes/returnBelow, Time: l.Time - l.Time/returnBelow}
}
