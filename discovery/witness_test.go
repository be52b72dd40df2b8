package discovery

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// herald is a source that speaks for a DCS when the test lets it.
type herald struct{ feed chan *Feed }

// Name is part of Source.
func (h *herald) Name() string { return "herald" }

// Run is part of Source.
func (h *herald) Run(ctx context.Context, feed *Feed) error {
	h.feed <- feed
	<-ctx.Done()
	return nil
}

const heraldLease = 10 * time.Second

func word(leader topology.NodeID) topology.Testimony {
	return topology.Testimony{Source: "whatever", At: time.Now(), Lease: heraldLease, Leader: leader, SystemID: testSystem}
}

// withDCS plays a cluster with a DCS, for which the returned function gives the feed.
func withDCS(t *testing.T) (*stage, func() *Feed) {
	t.Helper()
	h := &herald{feed: make(chan *Feed, 1)}
	s := play(t, func(cfg *Config, deps *Deps) {
		cfg.DCS = true
		deps.Sources = append(deps.Sources, h)
	})
	return s, func() *Feed { return <-h.feed }
}

func TestTheDCSOpensKeepsAndClosesThePrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, feedOf := withDCS(t)
		s.steady()
		defer s.close()
		feed := feedOf()
		after(10 * time.Second)
		s.expect(topology.PhaseLeaderless, "", 0)
		feed.Testify(word("a"))
		synctest.Wait()
		s.expect(topology.PhaseSteady, "a", 1)
		after(heraldLease + time.Second)
		s.expect(topology.PhaseDoubtful, "", 1)
		feed.Report(topology.Agent{Node: "a", At: time.Now(), Leads: true, State: topology.AgentRunning})
		after(agentAge - time.Second)
		s.expect(topology.PhaseSteady, "a", 1)
		after(2 * time.Second)
		s.expect(topology.PhaseDoubtful, "", 1)
		feed.Testify(word(""))
		synctest.Wait()
		s.expect(topology.PhaseLeaderless, "", 1)
		for _, kind := range []event.Kind{event.LeaderKeyMoved, event.DCSLost, event.DCSBack, event.PrimaryLost} {
			s.events.find(t, kind)
		}
	})
}

func TestASourceSpeaksInItsOwnNameOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, feedOf := withDCS(t)
		s.steady()
		defer s.close()
		feed := feedOf()
		said := word("a")
		said.Problem = "connection refused"
		said.Sync = []topology.NodeID{"b"}
		feed.Testify(said)
		after(5 * time.Second)
		want := "herald: connection refused"
		if lost := s.events.find(t, event.DCSLost); lost.Reason != "the DCS is silent ("+want+")" {
			t.Errorf("%+v", lost)
		}
		said.Problem = ""
		said.At = time.Now()
		feed.Testify(said)
		said.Sync[0] = "a"
		after(time.Second)
		if snap := s.Snapshot(); snap.Node("a").Sync || !snap.Node("b").Sync {
			t.Error("the source can change what it has told")
		}
	})
}

func TestALeaderKeyThatMovesAndARequestProbeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, feedOf := withDCS(t)
		s.steady()
		defer s.close()
		feed := feedOf()
		feed.Testify(word("a"))
		after(3*time.Second + 500*time.Millisecond)
		b := s.prober.node("b")
		asked := word("a")
		asked.Asked = topology.Request{Pending: true, From: "a", To: "b"}
		for _, said := range []topology.Testimony{asked, word(""), word("b")} {
			b.asked()
			said.At = time.Now()
			feed.Testify(said)
			synctest.Wait()
			if n := len(b.asked()); n != 1 {
				t.Errorf("%d probes upon %+v", n, said)
			}
			after(2*DefaultHeldInterval + DefaultHeldInterval/2) // between two probes, whatever their pace
		}
	})
}

func TestTheNodeThatTheDCSNamesIsAskedUntilItIsThePrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, feedOf := withDCS(t)
		s.steady()
		defer s.close()
		feed, b := feedOf(), s.prober.node("b")
		say := func(leader topology.NodeID) {
			said := word(leader)
			said.At = time.Now()
			feed.Testify(said)
			synctest.Wait()
			b.asked()
		}
		count := func(what string, least, most int) {
			t.Helper()
			after(time.Second)
			if n := len(b.asked()); n < least || n > most {
				t.Errorf("%s: %d probes in a second, not %d to %d", what, n, least, most)
			}
		}
		say("a")
		after(2 * time.Second)
		say("")
		count("nobody is named", 10, 11)
		say("b")
		count("it is named", 39, 41)
		b.fails(topology.OutcomeMissed)
		after(time.Second)
		b.asked()
		count("it does not answer", 10, 11)
		b.primary(2, 1)
		after(time.Second)
		s.expect(topology.PhaseSteady, "b", 2)
		b.asked()
		count("it is the primary", 1, 2)
	})
}

func TestWhatBecomesOfThePrimaryWithoutTheDCSIsReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, feedOf := withDCS(t)
		s.steady()
		defer s.close()
		feed := feedOf()
		feed.Testify(word("a"))
		after(heraldLease + time.Second)
		agent := func() {
			feed.Report(topology.Agent{Node: "a", At: time.Now(), Leads: true})
			synctest.Wait()
		}
		agent()
		s.expect(topology.PhaseSteady, "a", 1)
		cfg := Defaults()
		cfg.Cluster, cfg.DCS, cfg.HoldWithoutDCS = "main", true, true
		if restart, err := s.Reload(t.Context(), cfg); err != nil || len(restart) != 0 {
			t.Errorf("%v, %v", restart, err)
		}
		agent()
		s.expect(topology.PhaseDoubtful, "", 1)
		cfg.HoldWithoutDCS = false
		if _, err := s.Reload(t.Context(), cfg); err != nil {
			t.Error(err)
		}
		agent()
		s.expect(topology.PhaseSteady, "a", 1)
		if kinds := s.events.kinds(); slices.Contains(kinds, event.PrimaryLost) {
			t.Errorf("%v", kinds)
		}
	})
}

// TestADCSMayComeAndGoWithReloads: the primary stays while a new one is awaited, and what an old one said is forgotten.
func TestADCSMayComeAndGoWithReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, feedOf := withDCS(t)
		s.steady()
		defer s.close()
		feed := feedOf()
		reload := func(dcs bool) {
			t.Helper()
			cfg := Defaults()
			cfg.Cluster, cfg.DCS = "main", dcs
			if restart, err := s.Reload(t.Context(), cfg); err != nil || len(restart) != 0 {
				t.Errorf("%v, %v", restart, err)
			}
			synctest.Wait()
		}
		feed.Testify(word(""))
		after(time.Second)
		s.expect(topology.PhaseLeaderless, "", 0)
		reload(false)
		after(time.Second)
		s.expect(topology.PhaseSteady, "a", 1)
		reload(true)
		after(startWait - time.Second)
		s.expect(topology.PhaseSteady, "a", 1)
		feed.Testify(word("a"))
		after(time.Second)
		s.expect(topology.PhaseSteady, "a", 1)
		reload(false)
		reload(true)
		after(startWait + time.Second)
		s.expect(topology.PhaseDoubtful, "", 1) // nobody has said anything
	})
}

// A promoted node may lack nothing but the word of a source that looks only now and then.
func TestANodeThatBeginsToTakeWritesMakesSourcesLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, feedOf := withDCS(t)
		s.steady()
		defer s.close()
		feed := feedOf()
		wanted := func() int { n := len(feed.Wanted()); drain(feed.Wanted()); return n }
		feed.Testify(word("a"))
		after(2 * time.Second)
		wanted()
		s.prober.node("a").fails(topology.OutcomeRefused)
		after(2 * time.Second)
		if n := wanted(); n != 0 {
			t.Errorf("%d tokens while nobody takes writes", n)
		}
		s.prober.node("b").primary(2, 1)
		after(2 * time.Second)
		s.expect(topology.PhaseLeaderless, "", 1)
		if n := wanted(); n != 1 {
			t.Errorf("%d tokens while b waits for a word", n)
		}
		feed.Testify(word("b"))
		after(2 * time.Second)
		s.expect(topology.PhaseSteady, "b", 2)
		if n := wanted(); n != 0 {
			t.Errorf("%d tokens although there is a primary", n)
		}
	})
}

// drain takes a token that is there.
func drain(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}
