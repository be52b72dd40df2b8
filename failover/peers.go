package failover

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

const (
	peerLease    = 10 * time.Second // of a hold on another router: so long it lasts when this one dies
	peerRenewal  = peerLease / 3
	peerPatience = 2 * time.Second // for an answer beyond what was asked to be waited for
)

// summons are the holds on other routers for the time of a switchover here.
type summons struct {
	peers   Peers // nil: there are none
	cluster topology.ClusterID
	order   HoldOrder
	asked   bool
	over    chan struct{} // closed when they are not renewed any more
	ended   chan struct{} // closed when nobody renews them
}

// summon prepares them. ask begins, dismiss must follow.
func (c *Conductor) summon(order HoldOrder) *summons {
	return &summons{peers: c.deps.Peers, cluster: c.cluster, order: order, over: make(chan struct{}), ended: make(chan struct{})}
}

// ask lets the others hold, and answers when they have drained or have waited long enough. The holds are renewed until dismiss.
func (s *summons) ask(ctx context.Context) <-chan []PeerHeld {
	answers := make(chan []PeerHeld, 1)
	if s.peers == nil {
		answers <- nil
		return answers
	}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, s.order.Wait+peerPatience)
		defer cancel()
		answers <- s.peers.Hold(ctx, s.cluster, s.order)
	}()
	s.asked = true
	go s.renew() //nolint:gosec // G118: it outlives ctx, which only bounds the first answer; dismiss ends it
	return answers
}

// renew keeps the holds alive. One that is under way is waited for before they are released: it could arrive later than that.
func (s *summons) renew() {
	defer close(s.ended)
	tick := time.NewTicker(peerRenewal)
	defer tick.Stop()
	again := s.order
	again.Wait = 0
	for {
		select {
		case <-s.over:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), peerPatience)
		s.peers.Hold(ctx, s.cluster, again)
		cancel()
	}
}

// dismiss ends the holds. A router that does not hear it goes on when its lease is over, or when it sees the new primary itself.
func (s *summons) dismiss() {
	close(s.over)
	if !s.asked {
		return
	}
	<-s.ended
	ctx, cancel := context.WithTimeout(context.Background(), peerPatience)
	defer cancel()
	s.peers.Release(ctx, s.cluster, s.order.ID)
}

// summoned reports whether another router holds here for a switchover of its own. Each holds at the others before it looks, and moves nothing
// while another one holds: of two that are ordered at the same time one at most goes on.
func (c *Conductor) summoned() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.mu.holds, func(h *hold) bool { return !h.own && strings.HasPrefix(h.ID, switchoverID) })
}
