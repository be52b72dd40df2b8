package failover

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// neighbour is another router, or the same one, that is reached at once.
type neighbour struct{ c *Conductor }

func (n *neighbour) Hold(ctx context.Context, _ topology.ClusterID, o HoldOrder) []PeerHeld {
	held, err := n.c.Hold(ctx, o)
	return []PeerHeld{{Peer: "r2", Held: held, Err: err}}
}

func (n *neighbour) Release(_ context.Context, _ topology.ClusterID, id string) { n.c.Release(id) }

// asked is a manager that notes who is to be the primary, and never answers.
type asked struct {
	mu  sync.Mutex
	all []topology.NodeID
}

func (a *asked) Configured() bool { return true }

func (a *asked) Switchover(ctx context.Context, _, to topology.NodeID) error {
	a.mu.Lock()
	a.all = append(a.all, to)
	a.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

func (a *asked) Failover(ctx context.Context, to topology.NodeID) error {
	return a.Switchover(ctx, "", to)
}

// TestTwoRoutersDoNotMoveOnePrimaryAtATime: where commands move it, each of them would demote it and promote a standby of its own choice.
func TestTwoRoutersDoNotMoveOnePrimaryAtATime(t *testing.T) {
	for sentence, later := range map[string]time.Duration{
		"at the same time": 0, "one while units end at the other": time.Second, "one while the other moves it": 3 * time.Second,
	} {
		t.Run(sentence, func(t *testing.T) {
			cfg, a := Config{DrainTimeout: 5 * time.Second, SwitchTimeout: 20 * time.Second}, &asked{}
			play(t, cfg, nil, func(s *stage) {
				second := conduct(t, s.world, cfg)
				s.c.deps.Agents, second.deps.Agents = a, a
				s.c.deps.Peers, second.deps.Peers = &neighbour{second}, &neighbour{s.c}
				s.setBusy(true)
				time.AfterFunc(2*time.Second, func() { s.setBusy(false) })
				errs := make(chan error, 2)
				go func() { errs <- s.c.Switchover(s.Context(), "b:1", 0) }()
				<-time.After(later)
				go func() { errs <- second.Switchover(s.Context(), "b:1", 0) }()
				<-time.After(3 * time.Second)
				synctest.Wait()
				if len(a.all) > 1 {
					t.Errorf("%d routers move the primary", len(a.all))
				}
				if err := <-errs; !errors.Is(err, ErrElsewhere) {
					t.Errorf("the one that gives way says: %v", err)
				}
				s.publish("b:1", 2)
				if err := <-errs; err != nil && !errors.Is(err, ErrElsewhere) {
					t.Error(err)
				}
			})
		})
	}
}

// TestARouterMayBeAmongItsPeers: what it asks of itself holds already, and it is not one that could not be reached.
func TestARouterMayBeAmongItsPeers(t *testing.T) {
	playManaged(t, func(s *managedStage) {
		s.c.deps.Peers = &neighbour{s.c}
		s.begin("b:1", "switchover a:1 b:1")
		if all := s.c.Holds(); len(all) != 1 || all[0].Why != event.HoldSwitchover || time.Until(all[0].Until) < time.Minute {
			s.Errorf("in force: %+v", all)
		}
		s.after(4*time.Second, held) // the holds of peers are renewed
		s.publish("b:1", 2)
		s.ends("")
		s.after(time.Second, released)
		if r := s.c.Reports(); len(r) != 1 || len(r[0].Unreached) > 0 {
			s.Errorf("%+v", r)
		}
	})
}

// TestARouterThatIsLateHoldsNobodyAnew: it sees the new primary later than its peer, or never, and goes on renewing.
func TestARouterThatIsLateHoldsNobodyAnew(t *testing.T) {
	play(t, Config{}, nil, func(s *stage) {
		const id = switchoverID + "X"
		s.hold(id, peerLease)
		s.after(time.Second, held)
		s.publish("b:1", 2)
		s.after(time.Second, released)
		if _, err := s.c.Hold(s.Context(), HoldOrder{ID: id, By: "test", Lease: peerLease}); !errors.Is(err, ErrHoldOver) {
			t.Error(err)
		}
		s.after(time.Second, released)
	})
}
