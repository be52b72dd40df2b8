package topology

import (
	"slices"
	"time"
)

// sighting says until when the primary's log was seen to end at a position.
type sighting struct {
	lsn LSN
	at  time.Time
}

// mostSightings bounds how many are remembered: each second's at first, the further back the fewer.
const mostSightings = 128

// measure says how far each standby is behind: in bytes behind the primary, or the furthest position known when there is none; in time
// by what the router itself has seen of the primary's log.
func (r *reduction) measure(next *Snapshot) {
	if p := r.find(next.Primary); p != nil && p.node.WriteLSN != 0 {
		r.sight(sighting{p.node.WriteLSN, p.node.SeenAt})
	}
	furthest := r.furthest(next.Primary)
	for i := range r.nodes {
		m := &r.nodes[i]
		n := &m.node
		n.LagKnown = n.Role == RoleStandby && n.ReplayLSN != 0 && furthest != 0
		n.LagBytes, n.LagTime, n.LagTimeKnown = 0, 0, false
		if !n.LagKnown {
			continue
		}
		if furthest > n.ReplayLSN {
			n.LagBytes = uint64(furthest - n.ReplayLSN)
		}
		n.LagTime, n.LagTimeKnown = m.behind(r.trail)
	}
}

// furthest returns the end of the primary's log, or the furthest position known when there is none.
func (r *reduction) furthest(primary NodeID) LSN {
	furthest := LSN(0)
	for i := range r.nodes {
		n := &r.nodes[i].node
		if n.ID == primary {
			return n.WriteLSN
		}
		if n.Refused == "" {
			furthest = max(furthest, n.WriteLSN, n.ReceiveLSN, n.ReplayLSN)
		}
	}
	return furthest
}

// sight remembers where the primary's log ended. Of one position it remembers the last time.
func (r *reduction) sight(s sighting) {
	if n := len(r.trail); n > 0 && r.trail[n-1] == s {
		return
	}
	trail := slices.DeleteFunc(slices.Clone(r.trail), func(old sighting) bool { return old.lsn == s.lsn })
	if trail = append(trail, s); len(trail) > mostSightings {
		trail = thin(trail)
	}
	r.trail = trail
}

// thin forgets the sighting that is missed least: whose neighbours are closest together, for their age.
func thin(trail []sighting) []sighting {
	last := len(trail) - 1
	gap := func(i int) float64 {
		return float64(trail[i+1].at.Sub(trail[i-1].at)) / float64(trail[last].at.Sub(trail[i].at))
	}
	least := 1
	for i := 2; i < last; i++ {
		if gap(i) < gap(least) {
			least = i
		}
	}
	return slices.Delete(trail, least, least+1)
}

// behind returns how old the state is that a standby shows: for how long it has not reached the primary's log as that was. While there
// is no primary it does not grow older. A standby that the router has never seen up to date is believed what it says itself.
//
// pg_last_xact_replay_timestamp() alone would not do: behind a primary that rests it grows without end, and it is told by two clocks.
func (m *memory) behind(trail []sighting) (lag time.Duration, known bool) {
	for _, s := range trail {
		if s.lsn <= m.node.ReplayLSN && s.at.After(m.currentAt) {
			m.currentAt = s.at
		}
	}
	if m.currentAt.IsZero() {
		return m.replayAge, m.replayAge > 0
	}
	if len(trail) == 0 {
		return 0, true
	}
	until := trail[len(trail)-1].at
	if m.node.SeenAt.Before(until) {
		until = m.node.SeenAt
	}
	return max(until.Sub(m.currentAt), 0), true
}
