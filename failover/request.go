package failover

import (
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// heed holds new units of work as soon as Patroni has a request to move the primary that is due: it has not stopped anything yet then.
// When the request is gone and the primary is the same as ever, Patroni has refused it. One request holds once. Run's goroutine only.
func (c *Conductor) heed(s *topology.Snapshot, now time.Time) {
	asked, limit := s.Asked, c.cfg.Load().HoldMax
	switch {
	case !asked.Pending:
		c.heeded = topology.Request{}
		c.refuseRequest(s)
	case limit == 0, asked.At.After(now), same(asked, c.heeded), s.Primary == "":
	case asked.From != "" && asked.From != s.Primary: // Patroni refuses it
	default:
		c.heeded = asked
		c.holdFor(s, limit)
	}
}

// holdFor holds for a request that was not seen before.
func (c *Conductor) holdFor(s *topology.Snapshot, limit time.Duration) {
	h, err := c.beginHold(hold{Hold: Hold{ID: requestHold, By: "patroni", Why: event.HoldRequested}}, s, limit)
	if err != nil {
		c.deps.Logger.Warn("a request to move the primary holds nothing", "cluster", string(c.cluster), "error", err)
		return
	}
	begun := c.warm(s, s.Asked.To)
	c.mu.Lock()
	defer c.mu.Unlock()
	h.warmed = begun
}

// same reports whether two requests are one.
func same(a, b topology.Request) bool {
	return a.Pending == b.Pending && a.From == b.From && a.To == b.To && a.At.Equal(b.At)
}

// refuseRequest ends the hold of a request that is gone, when the primary is the same as ever.
func (c *Conductor) refuseRequest(s *topology.Snapshot) {
	c.endHolds(func(h *hold) string {
		if h.Why == event.HoldRequested && h.of.lives(s) {
			return "Patroni has dropped the request"
		}
		return ""
	})
}
