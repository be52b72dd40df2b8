package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// manager is Patroni as the test plays it: it answers when it is told to.
type manager struct {
	w      *world
	asked  chan string
	answer chan error
}

func (m *manager) Configured() bool { return true }
func (m *manager) Switchover(ctx context.Context, from, to topology.NodeID) error {
	return m.order(ctx, fmt.Sprintf("switchover %s %s", from, to))
}
func (m *manager) Failover(ctx context.Context, to topology.NodeID) error {
	return m.order(ctx, "failover "+string(to))
}

func (m *manager) order(ctx context.Context, what string) error {
	m.w.log("ask")
	m.asked <- what
	select {
	case err := <-m.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// managedStage is a stage with a manager.
type managedStage struct {
	*stage
	m    *manager
	done chan error
}

// playManaged runs a test with a manager in a bubble.
func playManaged(t *testing.T, act func(s *managedStage)) {
	t.Helper()
	m := &manager{}
	cfg := Config{DrainTimeout: 5 * time.Second, SwitchTimeout: 20 * time.Second}
	more := func(d *Deps) { d.Agents, m.w = m, d.Topology.(*world) }
	play(t, cfg, more, func(s *stage) {
		m.asked, m.answer = make(chan string, 1), make(chan error)
		act(&managedStage{s, m, make(chan error, 1)})
	})
}

// begin orders a switchover and waits until the manager is asked.
func (s *managedStage) begin(to topology.NodeID, want string) {
	s.Helper()
	go func() { s.done <- s.c.Switchover(s.Context(), to, 0) }()
	if got := <-s.m.asked; got != want {
		s.Errorf("Patroni was asked for %q, want %q", got, want)
	}
}

// ends waits for the end of the order.
func (s *managedStage) ends(want string) {
	s.Helper()
	err := <-s.done
	switch {
	case want == "" && err != nil:
		s.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		s.Errorf("%v, want %q", err, want)
	}
	s.after(0, released)
}

func TestPatroniMovesThePrimary(t *testing.T) {
	playManaged(t, func(s *managedStage) {
		s.begin("b:1", "switchover a:1 b:1")
		s.after(time.Second, held)
		s.publish("", 1)
		s.after(time.Second, held)
		s.publish("b:1", 2) // proven before Patroni has answered
		s.ends("")
		calls := slices.DeleteFunc(slices.Clone(s.calls), func(call string) bool { return call == "cut a:1" }) // of Run, at its own time
		want := "probe fast, hold, warm b:1, quiet, ask, dismiss a:1, resume, probe slow"
		if got := strings.Join(calls, ", "); got != want || len(calls) != len(s.calls)-1 {
			s.Errorf("it did %s, want %s", got, want)
		}
		s.after(time.Second, released)
		r := s.c.Reports()
		if len(r) != 1 || r[0].From != "a:1" || r[0].To != "b:1" || r[0].Warmed != 2 || r[0].Drained.IsZero() || r[0].Outcome != "switched_over" || r[0].Source != SourceOrder {
			s.Errorf("%+v", r)
		}
	})
}

func TestPatroniChoosesWhoIsToBeThePrimary(t *testing.T) {
	playManaged(t, func(s *managedStage) {
		s.begin("", "switchover a:1 ")
		if !slices.Contains(s.calls, "warm b:1") {
			s.Error("the only standby is not warmed")
		}
		s.m.answer <- nil
		s.after(time.Second, held) // it is done, and not proven yet
		s.publish("b:1", 2)
		s.ends("")
	})
}

// TestASwitchoverThatPatroniDoesNotDoIsReleased has a primary that is the same all the time.
func TestASwitchoverThatPatroniDoesNotDoIsReleased(t *testing.T) {
	unclear := errors.New("the connection was lost")
	for name, tc := range map[string]struct {
		act  func(s *managedStage)
		want string
	}{
		"refused": {func(s *managedStage) { s.m.answer <- fmt.Errorf("%w: no such candidate", ErrRefused) }, "no such candidate"},
		"failed":  {func(s *managedStage) { s.m.answer <- fmt.Errorf("%w: Switchover failed", ErrFailed) }, "Switchover failed"},
		"refused while the primary is in doubt": {func(s *managedStage) {
			s.publish("", 1)
			s.m.answer <- fmt.Errorf("%w: leader is gone", ErrRefused)
			s.after(time.Second, held)
			s.publish("a:1", 1)
		}, "leader is gone"},
		"the request is gone": {func(s *managedStage) {
			s.asks(topology.Request{Pending: true, From: "b:1"}) // heeded by nobody else
			synctest.Wait()
			s.m.answer <- unclear
			s.after(time.Second, held)
			s.asks(topology.Request{})
		}, "the request to Patroni is gone"},
		"nobody knows": {func(s *managedStage) {
			s.m.answer <- unclear
			s.after(19*time.Second, held)
		}, "the connection was lost"},
		"no answer": {func(s *managedStage) { s.after(19*time.Second, held) }, "it has not answered"},
		"restarted": {func(s *managedStage) { s.publish("", 1); s.after(time.Second, held); s.live("a:1", 1, 2) }, "was restarted"},
	} {
		t.Run(name, func(t *testing.T) {
			playManaged(t, func(s *managedStage) {
				s.begin("b:1", "switchover a:1 b:1")
				tc.act(s)
				s.ends(tc.want)
				if want := []event.Kind{event.SwitchoverFailed}; !slices.Equal(s.events[len(s.events)-1:], want) {
					s.Error(s.events)
				}
			})
		})
	}
}

func TestPinnedSessionsOutliveARefusedSwitchover(t *testing.T) {
	playManaged(t, func(s *managedStage) {
		s.begin("b:1", "switchover a:1 b:1")
		s.change(func(next *topology.Snapshot) { next.Phase = topology.PhaseDoubtful }, "", 1) // its probe is late
		s.after(time.Second, held)
		s.publish("a:1", 1)
		s.m.answer <- ErrRefused
		s.ends("refused")
		if slices.Contains(s.calls, "dismiss a:1") {
			s.Errorf("it did %v", s.calls)
		}
	})
}

func TestASwitchoverToAnotherThanWantedIsTold(t *testing.T) {
	playManaged(t, func(s *managedStage) {
		s.begin("b:1", "switchover a:1 b:1")
		s.publish("c:1", 2)
		s.ends("c:1 is the primary now")
	})
}

func TestAnOrderToPatroniIsFinishedThoughWhoGaveItLeaves(t *testing.T) {
	playManaged(t, func(s *managedStage) {
		ctx, leave := context.WithCancel(s.Context())
		go func() { s.done <- s.c.Switchover(ctx, "b:1", 0) }()
		<-s.m.asked
		leave()
		closed := make(chan error, 1)
		go func() { closed <- s.c.Close(s.Context()) }()
		s.after(time.Second, held)
		s.publish("b:1", 2)
		s.ends("")
		if err := <-closed; err != nil {
			s.Error(err)
		}
	})
}

func TestAClusterOfPatronisThatCannotBeAskedIsRefused(t *testing.T) {
	play(t, Config{}, nil, func(s *stage) {
		s.change(func(next *topology.Snapshot) { next.DCS = topology.DCSHeard }, "a:1", 1)
		if err := s.c.Switchover(s.Context(), "b:1", 0); !errors.Is(err, ErrNoManager) {
			s.Error(err)
		}
		if err := s.c.Failover(s.Context(), "b:1"); !errors.Is(err, ErrUnmanaged) {
			s.Error(err)
		}
		s.after(0, "")
	})
}

func TestRunningUnitsThatDoNotEndKeepThePrimary(t *testing.T) {
	playManaged(t, func(s *managedStage) {
		s.setBusy(true)
		err := s.c.Switchover(s.Context(), "b:1", 2*time.Second)
		blocked, is := errors.AsType[*BlockedError](err)
		if !is || blocked.Within != 2*time.Second || len(blocked.Blockers) != 2 || blocked.Blockers[0].Client != 7 {
			s.Errorf("%v", err)
		}
		if want := "client 7 (u@d) linked for 1m0s"; !strings.Contains(err.Error(), want) {
			s.Errorf("%v does not name %s", err, want)
		}
		s.after(0, released)
		if slices.Contains(s.calls, "ask") || slices.Contains(s.calls, "dismiss a:1") {
			s.Errorf("it did %v", s.calls)
		}
	})
}

func TestAClusterThatChangesWhileUnitsEndIsLeftAlone(t *testing.T) {
	for name, act := range map[string]func(s *managedStage){
		"the primary is lost":        func(s *managedStage) { s.publish("", 1) },
		"it has another life":        func(s *managedStage) { s.live("a:1", 1, 2) },
		"the candidate is no member": func(s *managedStage) { s.change(func(n *topology.Snapshot) { n.Nodes = n.Nodes[:1] }, "a:1", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			playManaged(t, func(s *managedStage) {
				s.setBusy(true)
				go func() { s.done <- s.c.Switchover(s.Context(), "b:1", 0) }()
				synctest.Wait()
				act(s)
				synctest.Wait()
				s.setBusy(false)
				if err := <-s.done; !errors.Is(err, ErrChanged) || slices.Contains(s.calls, "ask") {
					s.Errorf("%v; it did %v", err, s.calls)
				}
				s.after(0, released)
			})
		})
	}
}

func TestAFailoverNeedsAClusterWithoutAPrimary(t *testing.T) {
	playManaged(t, func(s *managedStage) {
		if err := s.c.Failover(s.Context(), "b:1"); !errors.Is(err, ErrLed) {
			s.Error(err)
		}
		s.publish("", 1)
		for to, want := range map[topology.NodeID]string{"": "needs the node", "c:1": "it has a:1, b:1"} {
			if err := s.c.Failover(s.Context(), to); err == nil || !strings.Contains(err.Error(), want) {
				s.Errorf("%v, want %q", err, want)
			}
		}
		go func() { s.done <- s.c.Failover(s.Context(), "b:1") }()
		if got := <-s.m.asked; got != "failover b:1" {
			s.Error(got)
		}
		s.publish("b:1", 2)
		if err := <-s.done; err != nil {
			s.Error(err)
		}
		go func() { s.publish("", 2); s.done <- s.c.Failover(s.Context(), "a:1") }()
		<-s.m.asked
		s.m.answer <- fmt.Errorf("%w: it is not healthy", ErrRefused)
		if err := <-s.done; err == nil || !strings.Contains(err.Error(), "it is not healthy") {
			s.Error(err)
		}
	})
}

// neighbours are other routers.
type neighbours struct {
	mu    sync.Mutex
	calls []string
	held  func(HoldOrder) []PeerHeld
}

func (n *neighbours) Hold(ctx context.Context, _ topology.ClusterID, o HoldOrder) []PeerHeld {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, fmt.Sprintf("hold %s %s", o.Lease, o.Wait))
	return n.held(o)
}

func (n *neighbours) Release(_ context.Context, _ topology.ClusterID, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if strings.HasPrefix(id, switchoverID) {
		n.calls = append(n.calls, "release")
	}
}

func TestOtherRoutersHoldToo(t *testing.T) {
	playManaged(t, func(s *managedStage) {
		n := &neighbours{held: func(HoldOrder) []PeerHeld {
			return []PeerHeld{{Peer: "r2", Held: Held{Drained: true}}, {Peer: "r3", Err: errors.New("no route")}}
		}}
		s.c.deps.Peers = n
		s.begin("b:1", "switchover a:1 b:1")
		s.after(3*time.Second, held)
		s.publish("b:1", 2) // while the holds there are renewed
		s.ends("")
		if got := strings.Join(n.calls, ", "); got != "hold 10s 5s, hold 10s 0s, release" {
			s.Error(got)
		}
		s.after(time.Second, released)
		if r := s.c.Reports(); len(r) != 1 || !slices.Equal(r[0].Unreached, []string{"r3"}) {
			s.Errorf("%+v", r)
		}
	})
}

func TestUnitsOfOtherRoutersKeepThePrimaryToo(t *testing.T) {
	playManaged(t, func(s *managedStage) {
		n := &neighbours{held: func(HoldOrder) []PeerHeld {
			return []PeerHeld{{Peer: "r2", Held: Held{Blockers: []Blocker{{Client: 3}}}}}
		}}
		s.c.deps.Peers = n
		err := s.c.Switchover(s.Context(), "b:1", 0)
		blocked, is := errors.AsType[*BlockedError](err)
		if !is || len(blocked.Blockers) != 1 || blocked.Blockers[0].Peer != "r2" || slices.Contains(s.calls, "ask") {
			s.Errorf("%v; it did %v", err, s.calls)
		}
		if got := strings.Join(n.calls, ", "); got != "hold 10s 5s, release" {
			s.Error(got)
		}
		s.after(0, released)
	})
}
