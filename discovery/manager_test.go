package discovery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// after lets fake time pass and then everything settle.
func after(d time.Duration) {
	<-time.After(d) // the bubble's clock: nobody waits
	synctest.Wait()
}

func (s *stage) expect(phase topology.Phase, primary topology.NodeID, epoch topology.Epoch) {
	s.t.Helper()
	snap := s.Snapshot()
	if snap.Phase != phase || snap.Primary != primary || snap.Epoch != epoch {
		s.t.Errorf("%s, primary %q, epoch %d; want %s %q %d; alarm %q", snap.Phase, snap.Primary, snap.Epoch, phase, primary, epoch, snap.Alarm)
	}
}

func TestThePrimaryIsFoundAtOnceAndFollowedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		if snap := s.Snapshot(); snap == nil || snap.Phase != topology.PhaseUnknown {
			t.Fatalf("before Run: %+v", snap)
		}
		s.steady()
		defer s.close()
		synctest.Wait()
		s.expect(topology.PhaseSteady, "a", 1)
		s.prober.node("a").fails(topology.OutcomeRefused)
		after(time.Second)
		s.expect(topology.PhaseLeaderless, "", 1)
		s.prober.node("b").primary(2, 1)
		after(100 * time.Millisecond)
		s.expect(topology.PhaseSteady, "b", 2)
		want := []event.Kind{event.NodeUp, event.NodeUp, event.PrimaryChanged, event.NodeDown, event.PrimaryLost, event.NodeRoleChanged, event.PrimaryChanged, event.FloorLifted}
		if got := s.events.kinds(); !slices.Equal(got, want) {
			t.Errorf("events %v\nwant   %v", got, want)
		}
		if e := s.events.find(t, event.PrimaryLost); e.Cluster != "main" || e.Node != "a" || e.Epoch != 1 || e.Time.IsZero() || e.Reason == "" {
			t.Errorf("%+v", e)
		}
	})
}

func TestProbesRunAtThePaceOfTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		s.steady()
		defer s.close()
		synctest.Wait()
		b := s.prober.node("b")
		after(10 * time.Second)
		b.asked()
		count := func(what string, least, most int) {
			t.Helper()
			if n := len(b.asked()); n < least || n > most {
				t.Errorf("%s: %d probes, not %d to %d", what, n, least, most)
			}
		}
		after(10 * time.Second)
		count("steady for 10 s", 10, 10)
		s.SetHeld(true)
		after(2 * time.Second)
		count("held for 2 s", 20, 21)
		s.SetHeld(false)
		after(10 * time.Second)
		count("released for 10 s", 10, 11)
		s.prober.node("a").fails(topology.OutcomeMissed)
		after(time.Second)
		b.asked()
		after(2 * time.Second)
		count("without a primary for 2 s", 20, 21)
	})
}

func TestATriggerProbesAtOnceButNotTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		s.steady()
		defer s.close()
		after(3*time.Second + 500*time.Millisecond)
		a, b := s.prober.node("a"), s.prober.node("b")
		a.asked()
		b.asked()
		s.Trigger("a")
		synctest.Wait()
		if len(a.asked()) != 1 || len(b.asked()) != 0 {
			t.Error("a trigger for a does not probe a alone")
		}
		after(100 * time.Millisecond)
		s.Trigger("who?")
		synctest.Wait()
		if len(a.asked()) != 1 || len(b.asked()) != 1 {
			t.Error("a trigger for somebody unknown does not probe all")
		}
		a.asked()
		for range 100 {
			s.Trigger("a")
			after(time.Millisecond)
		}
		asked := a.asked()
		if len(asked) < 4 || len(asked) > 5 {
			t.Errorf("%d probes in 100 ms of triggers", len(asked))
		}
		for i := 1; i < len(asked); i++ {
			if d := asked[i].Sub(asked[i-1]); d < DefaultMinInterval {
				t.Errorf("two probes within %s", d)
			}
		}
	})
}

func TestNewsOnTheLineProbeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		s.steady()
		defer s.close()
		after(3*time.Second + 500*time.Millisecond)
		a := s.prober.node("a")
		a.fails(topology.OutcomeRefused)
		a.news <- struct{}{}
		synctest.Wait()
		s.expect(topology.PhaseLeaderless, "", 1)
	})
}

func TestANodeThatHangsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		s.steady()
		defer s.close()
		synctest.Wait()
		b := s.prober.node("b")
		s.prober.node("a").hang()
		after(2100 * time.Millisecond)
		s.expect(topology.PhaseDoubtful, "", 1)
		b.asked()
		after(time.Second)
		if n := len(b.asked()); n < 9 {
			t.Errorf("b was asked %d times in a second without a primary", n)
		}
		s.prober.node("a").primary(1)
		after(1100 * time.Millisecond)
		s.expect(topology.PhaseSteady, "a", 1)
	})
}

// stuck is a session whose probe never ends.
type stuck struct{ *fakeSession }

// Probe is part of Session.
func (s stuck) Probe(ctx context.Context, _ Question) topology.Observation {
	<-ctx.Done()
	return topology.Observation{}
}

type stuckProber struct{ *fakeProber }

// Open is part of Prober.
func (p stuckProber) Open(member topology.Member) Session {
	session := p.fakeProber.Open(member).(*fakeSession)
	if member.ID == "b" {
		return stuck{session}
	}
	return session
}

func TestAProbeThatNeverEndsDelaysTheFirstPrimaryOnlyForSoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, func(_ *Config, deps *Deps) { deps.Prober = stuckProber{deps.Prober.(*fakeProber)} })
		s.prober.node("a").primary(1)
		s.run()
		defer s.close()
		after(startWait - 100*time.Millisecond)
		s.expect(topology.PhaseUnknown, "", 0)
		after(time.Second)
		s.expect(topology.PhaseSteady, "a", 1)
	})
}

func TestASubscriberGetsOneTokenForAllItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		changed, cancel := s.Subscribe()
		s.steady()
		defer s.close()
		after(10 * time.Second)
		if len(changed) != 1 {
			t.Fatalf("%d tokens", len(changed))
		}
		<-changed
		seq := s.Snapshot().Seq
		<-changed
		if s.Snapshot().Seq <= seq {
			t.Error("a token without a new snapshot")
		}
		cancel()
		cancel()
		for len(changed) > 0 {
			<-changed
		}
		after(10 * time.Second)
		if len(changed) != 0 {
			t.Error("a token after the end of the subscription")
		}
	})
}

func TestMembersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := newList("b", "c")
		other.name, other.told[0].Address = "another", "elsewhere:1"
		s := play(t, func(_ *Config, deps *Deps) { deps.Sources = append(deps.Sources, other) })
		s.prober.node("c").standby(1)
		s.steady()
		defer s.close()
		synctest.Wait()
		s.expect(topology.PhaseSteady, "a", 1)
		snap := s.Snapshot()
		if len(snap.Nodes) != 3 || snap.Node("b").Address != "elsewhere:1" || snap.Node("c").Health != topology.HealthUp {
			t.Errorf("%+v", snap.Nodes)
		}
		other.change <- nil
		s.list.change <- membersOf("a", "d")
		s.prober.node("d").standby(1)
		after(2 * time.Second)
		snap = s.Snapshot()
		if len(snap.Nodes) != 2 || snap.Node("d") == nil || snap.Node("d").Health != topology.HealthUp {
			t.Errorf("%+v", snap.Nodes)
		}
		for _, id := range []topology.NodeID{"b", "c"} {
			s.prober.node(id).asked()
		}
		after(10 * time.Second)
		if len(s.prober.node("b").asked())+len(s.prober.node("c").asked()) != 0 {
			t.Error("nodes that are gone are still asked")
		}
		s.expect(topology.PhaseSteady, "a", 1)
	})
}

func TestASourceThatFailsEndsTheManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		s.steady()
		synctest.Wait()
		s.list.fail <- errors.New("gone for good")
		err := <-s.ended
		if err == nil || !strings.Contains(err.Error(), "source list: gone for good") || !strings.Contains(err.Error(), "main") {
			t.Errorf("Run: %v", err)
		}
		s.stop()
		if err := s.Run(context.Background()); err == nil {
			t.Error("a Manager runs twice")
		}
		if err := s.Accept(context.Background(), topology.Acceptance{}); !errors.Is(err, ErrNotRunning) {
			t.Errorf("Accept after the end: %v", err)
		}
		s.Trigger("a")
		s.SetHeld(true)
	})
}

func TestASourceMayHaveToldEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		s.steady()
		defer s.close()
		synctest.Wait()
		s.list.fail <- nil
		after(5 * time.Second)
		s.expect(topology.PhaseSteady, "a", 1)
	})
}

func TestAnOperatorAcceptsTheClusterAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		if err := s.Accept(t.Context(), topology.Acceptance{}); !errors.Is(err, ErrNotRunning) {
			t.Errorf("before Run: %v", err)
		}
		s.steady()
		defer s.close()
		synctest.Wait()
		if err := s.Accept(t.Context(), topology.Acceptance{}); !errors.Is(err, topology.ErrNothingToAccept) {
			t.Errorf("with a primary: %v", err)
		}
		s.prober.node("b").fails(topology.OutcomeRefused)
		s.prober.node("a").set(topology.Observation{Outcome: topology.OutcomeAnswered, Role: topology.RolePrimary, SystemID: 8, Timeline: 1})
		after(2 * time.Second)
		s.expect(topology.PhaseLeaderless, "", 1)
		if err := s.Accept(t.Context(), topology.Acceptance{}); err != nil {
			t.Error(err)
		}
		s.expect(topology.PhaseSteady, "a", 2)
	})
}

func TestAReloadTakesWhatNeedsNoRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		s.steady()
		defer s.close()
		after(5 * time.Second)
		cfg := Defaults()
		cfg.Cluster, cfg.StateDir, cfg.ProbeInterval = "other", "/elsewhere", 5*time.Second
		restart, err := s.Reload(t.Context(), cfg)
		if err != nil || !slices.Equal(restart, []string{"cluster name", "state_dir"}) {
			t.Errorf("%v, %v", restart, err)
		}
		after(time.Second)
		s.prober.node("b").asked()
		after(20 * time.Second)
		if n := len(s.prober.node("b").asked()); n != 4 {
			t.Errorf("%d probes in 20 s", n)
		}
		s.expect(topology.PhaseSteady, "a", 1)
		cfg.ProbeInterval = 0
		if _, err := s.Reload(t.Context(), cfg); err == nil {
			t.Error("a faulty configuration is taken")
		}
	})
}

func TestASourceReportsItsOwnObservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		s.steady()
		defer s.close()
		after(1500 * time.Millisecond)
		feed := &Feed{manager: s.Manager, source: "test", done: t.Context().Done()}
		feed.Observe(topology.Observation{Node: "a", At: time.Now(), Outcome: topology.OutcomeStopping})
		synctest.Wait()
		s.expect(topology.PhaseSteady, "a", 1) // the loss made all probes run, and a's says that it is well
		if got := s.events.kinds(); !slices.Contains(got, event.PrimaryLost) || got[len(got)-1] != event.PrimaryConfirmed {
			t.Errorf("%v", got)
		}
		s.prober.node("a").asked()
		after(500 * time.Millisecond)
		s.prober.node("a").asked()
		feed.Trigger("a")
		synctest.Wait()
		if len(s.prober.node("a").asked()) != 1 {
			t.Error("a source's trigger does not probe")
		}
	})
}

func TestWhatAManagerIsMadeOfIsChecked(t *testing.T) {
	good := Defaults()
	good.Cluster = "main"
	source := newList("a")
	for name, spoil := range map[string]func(*Config, *Deps){
		"no name":         func(c *Config, _ *Deps) { c.Cluster = "" },
		"a path for name": func(c *Config, _ *Deps) { c.Cluster = "../main" },
		"a hidden file":   func(c *Config, _ *Deps) { c.Cluster = ".main" },
		"no interval":     func(c *Config, _ *Deps) { c.ProbeInterval = 0 },
		"no heartbeat":    func(c *Config, _ *Deps) { c.Heartbeat = -1 },
		"no prober":       func(_ *Config, d *Deps) { d.Prober = nil },
		"no source":       func(_ *Config, d *Deps) { d.Sources = nil },
		"the same source": func(_ *Config, d *Deps) { d.Sources = []Source{source, source} },
	} {
		cfg, deps := good, Deps{Sources: []Source{source}, Prober: &fakeProber{}}
		spoil(&cfg, &deps)
		if _, err := NewManager(cfg, deps); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestEveryChangeIsAnEvent(t *testing.T) {
	for change, kind := range map[topology.ChangeKind]event.Kind{
		topology.ChangePrimaryDoubtful:  event.PrimaryDoubtful,
		topology.ChangePrimaryLost:      event.PrimaryLost,
		topology.ChangePrimaryChanged:   event.PrimaryChanged,
		topology.ChangePrimaryConfirmed: event.PrimaryConfirmed,
		topology.ChangeSplitBrain:       event.SplitBrain,
		topology.ChangeSplitBrainHealed: event.SplitBrainHealed,
		topology.ChangeNodeRefused:      event.NodeRefused,
		topology.ChangeNodeUp:           event.NodeUp,
		topology.ChangeNodeSuspect:      event.NodeSuspect,
		topology.ChangeNodeDown:         event.NodeDown,
		topology.ChangeNodeRole:         event.NodeRoleChanged,
		topology.ChangeFloorLifted:      event.FloorLifted,
		topology.ChangeDCSLost:          event.DCSLost,
		topology.ChangeDCSBack:          event.DCSBack,
		topology.ChangeLeaderKeyMoved:   event.LeaderKeyMoved,
		topology.ChangePatroniPaused:    event.PatroniPaused,
		topology.ChangePatroniResumed:   event.PatroniResumed,
		topology.ChangeRequestSeen:      event.RequestSeen,
		topology.ChangeRequestGone:      event.RequestGone,
	} {
		if event.Kind(change) != kind {
			t.Errorf("%s is not %s", change, kind)
		}
	}
}
