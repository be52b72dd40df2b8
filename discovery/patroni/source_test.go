package patroni

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

func TestOneURLFindsTheClusterAndWhatEachMemberSaysOfItself(t *testing.T) {
	s := newSite(t, 3)
	s.member(2).says(`,"tags":{"noloadbalance":true}`)
	before := time.Now()
	_, l, _ := listen(t, quick(s.member(3).URL))
	l.nodes("127.0.0.1:15431", "127.0.0.1:15432", "127.0.0.1:15433")
	said := l.leader("127.0.0.1:15431")
	if said.Source != "patroni" || said.At.Before(before) || said.Lease != 20*time.Second || said.SystemID != 7412 || said.Paused || said.Asked.Pending {
		t.Errorf("%+v", said)
	}
	agent := func(node topology.NodeID) topology.Agent {
		return l.await(string(node), func(x told) bool { return x.agent.Node == node }).agent
	}
	if a := agent("127.0.0.1:15431"); !a.Leads || a.State != topology.AgentRunning || a.Timeline != 3 || a.Problem != "" || a.At.Before(before) {
		t.Errorf("%+v", a)
	}
	if a := agent("127.0.0.1:15432"); a.Leads || !a.Tags.NoLoadBalance {
		t.Errorf("%+v", a)
	}
}

func TestAnotherLeaderIsToldAndMakesAllProbesRun(t *testing.T) {
	s := newSite(t, 2)
	_, l, _ := listen(t, quick(s.member(1).URL))
	l.leader("127.0.0.1:15431")
	s.lead("")
	l.leader("")
	l.triggered("")
	s.lead("n2")
	l.leader("127.0.0.1:15432")
	l.triggered("")
}

func TestWhatAnAgentSaysOfItsServerMakesThatProbeRunAndTheClusterBeAsked(t *testing.T) {
	s := newSite(t, 2)
	cfg := quick(s.member(1).URL)
	cfg.Interval = 100 * time.Millisecond
	_, l, _ := listen(t, cfg)
	l.await("n2", func(x told) bool { return x.agent.Node == "127.0.0.1:15432" })
	s.member(2).does("/leader", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprint(w, `{"state":"stopping","role":"replica"}`)
	})
	l.await("stopping", func(x told) bool { return x.agent.State == topology.AgentStopping })
	l.triggered("127.0.0.1:15432")
}

func TestAnAgentThatHurriesEndsThePause(t *testing.T) {
	q := newInquiry(&settings{Config: Config{Interval: time.Hour}}, Deps{}, &listener{})
	q.nudged <- struct{}{}
	q.rest(t.Context()) // otherwise the test ends an hour later
}

func TestANodeThatTakesWritesEndsThePause(t *testing.T) {
	wanted := make(chan struct{}, 1)
	wanted <- struct{}{}
	q := newInquiry(&settings{Config: Config{Interval: time.Hour}}, Deps{}, &listener{wanted: wanted})
	q.rest(t.Context()) // otherwise the test ends an hour later
}

func TestMembersComeAndGoOnlyLater(t *testing.T) {
	s := newSite(t, 2)
	_, l, _ := listen(t, quick(s.member(1).URL))
	l.nodes("127.0.0.1:15431", "127.0.0.1:15432")
	gone := s.member(2)
	third := s.join(httptest.NewServer)
	l.nodes("127.0.0.1:15431", "127.0.0.1:15432", "127.0.0.1:15433")
	s.drop(gone)
	asked := gone.count("/leader")
	l.await("who is gone from the list is asked of itself", func(x told) bool { return x.agent.Node == gone.node() && gone.count("/leader") > asked+1 })
	s.move(third, 1)
	l.nodes("127.0.0.1:1", "127.0.0.1:15431", "127.0.0.1:15432")
}

func TestWhoIsNotNamedForLongIsForgotten(t *testing.T) {
	r, now := make(roster), time.Now()
	r.note([]member{{name: "a", address: "a:1"}, {name: "b", address: "b:1"}}, now)
	r.note([]member{{name: "a", address: "a:2"}}, now.Add(forgetAfter))
	if got := r.nodes(nil); len(got) != 2 || got[0].ID != "a:2" {
		t.Errorf("%v", got)
	}
	r.note(nil, now.Add(forgetAfter+time.Second))
	if got := r.nodes(nil); len(got) != 1 || got[0].ID != "a:2" {
		t.Errorf("%v", got)
	}
}

func TestMembersUnderEverNewNamesAreNotKept(t *testing.T) {
	r, now := make(roster), time.Now()
	for round := range 3 {
		var members []member
		for i := range maxMembers {
			members = append(members, member{name: fmt.Sprint(round, i), address: fmt.Sprintf("a:%d", 1+round*maxMembers+i)})
		}
		r.note(members, now.Add(time.Duration(round)*time.Second))
	}
	if len(r) != maxMembers || r["2 0"].name == "" {
		t.Errorf("%d members are kept", len(r))
	}
}

func TestWhoAnsweredLastIsAskedFirst(t *testing.T) {
	r := make(roster)
	r.note([]member{{name: "a", base: "http://a"}, {name: "b", base: "http://b"}, {name: "c"}}, time.Now())
	for last, want := range map[string]string{
		"": "http://a http://b http://s", "http://b": "http://b http://a http://s", "http://s": "http://s http://a http://b", "http://gone": "http://a http://b http://s",
	} {
		if got := strings.Join(r.bases(last, []string{"http://s", "http://a"}), " "); got != want {
			t.Errorf("after %q: %s, want %s", last, got, want)
		}
	}
}

func TestAMemberThatHangsDelaysNobody(t *testing.T) {
	s := newSite(t, 3)
	cfg := quick(s.member(1).URL)
	cfg.Timeout = time.Hour // who waits for the one that hangs waits longer than the test
	_, l, _ := listen(t, cfg)
	l.leader("127.0.0.1:15431")
	s.member(2).does("/leader", hang)
	s.member(2).does("/cluster", hang)
	s.lead("n3")
	l.leader("127.0.0.1:15433")
	for range 3 {
		for _, node := range []topology.NodeID{"127.0.0.1:15431", "127.0.0.1:15433"} {
			l.await(string(node), func(x told) bool { return x.agent.Node == node })
		}
	}
}

func TestOneMemberIsAskedForTheClusterAndAnotherWhenItHangs(t *testing.T) {
	s := newSite(t, 2)
	cfg := quick(s.member(1).URL, s.member(2).URL)
	cfg.Timeout = 300 * time.Millisecond
	_, l, e := listen(t, cfg)
	l.leader("127.0.0.1:15431")
	first, second := s.member(1), s.member(2)
	if first.count("/cluster") == 0 {
		first, second = second, first
	}
	for first.count("/cluster") < 5 {
		l.leader("127.0.0.1:15431")
	}
	if n := second.count("/cluster"); n > 0 {
		t.Errorf("the second member was asked %d times although the first answers", n)
	}
	first.does("/cluster", hang)
	for second.count("/cluster") < 3 {
		l.await("anything", func(told) bool { return true })
	}
	l.leader("127.0.0.1:15431")
	if len(e.kinds) > 0 {
		t.Errorf("%s although the second member answers", <-e.kinds)
	}
}

func TestWhatIsNoAnswerIsAProblemAndItsEndIsTold(t *testing.T) {
	for why, instead := range map[string]http.HandlerFunc{
		"no list of members":                func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") },
		"longer than":                       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxBody+1)) },
		"HTTP status 401: look at username": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"a redirect is not followed":        func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"closed without an answer":          slam,
	} {
		t.Run(why, func(t *testing.T) {
			s := newSite(t, 1)
			_, l, e := listen(t, quick(s.member(1).URL))
			l.leader("127.0.0.1:15431")
			s.member(1).does("/cluster", instead)
			l.problem(why)
			l.problem(why)
			s.member(1).does("/cluster", nil)
			for range 3 { // its end is told once
				l.leader("127.0.0.1:15431")
			}
			if a, b := <-e.kinds, <-e.kinds; a != event.SourceSilent || b != event.SourceBack || len(e.kinds) > 0 {
				t.Errorf("%s, %s and %d more", a, b, len(e.kinds))
			}
		})
	}
}

func TestAnAgentThatDoesNotAnswerIsToldWithItsReason(t *testing.T) {
	s := newSite(t, 2)
	_, l, _ := listen(t, quick(s.member(1).URL))
	l.leader("127.0.0.1:15431")
	s.member(2).does("", slam)
	l.await("a problem of n2", func(x told) bool {
		return x.agent.Node == "127.0.0.1:15432" && strings.Contains(x.agent.Problem, "without an answer") && !x.agent.Leads && x.agent.State == topology.AgentUnknown
	})
}

func TestAnAnswerOfAnOldLookIntoTheDCSDoesNotCountAsFresh(t *testing.T) {
	s := newSite(t, 1)
	s.member(1).does("/leader", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"state":"running","role":"master","dcs_last_seen":%d}`, time.Now().Add(-time.Minute).Unix())
	})
	_, l, _ := listen(t, quick(s.member(1).URL))
	if said := l.leader("127.0.0.1:15431"); time.Since(said.At) < 59*time.Second {
		t.Errorf("it counts as asked %s ago", time.Since(said.At))
	}
}

func TestAMemberThatDoesNotReachItsDCSIsNoWitness(t *testing.T) {
	for extra, why := range map[string]string{
		`,"failsafe_mode_is_active":true`: "failsafe mode is active",
		`,"cluster_unlocked":true`:        "says that nobody is",
	} {
		s := newSite(t, 1)
		s.member(1).says(extra)
		_, l, _ := listen(t, quick(s.member(1).URL))
		l.problem(why)
	}
}

func TestPauseAndAScheduledSwitchoverAreTold(t *testing.T) {
	s := newSite(t, 2)
	s.also(`,"pause":true,"scheduled_switchover":{"at":"2026-11-10T03:00:00+00:00","from":"n1","to":"n2"}`)
	_, l, _ := listen(t, quick(s.member(1).URL))
	said := l.leader("127.0.0.1:15431")
	if !said.Paused || !said.Asked.Pending || said.Asked.From != "127.0.0.1:15431" || said.Asked.To != "127.0.0.1:15432" || said.Asked.At.IsZero() {
		t.Errorf("%+v", said)
	}
}

func TestAddressesAreReachedThroughTheMap(t *testing.T) {
	s := newSite(t, 1)
	reached := strings.TrimPrefix(s.member(1).URL, "http://")
	cfg := quick("http://rest.invalid:8008")
	cfg.AddressMap = []string{"rest.invalid:8008=" + reached, "127.0.0.1:15431=127.0.0.1:25431"}
	_, l, _ := listen(t, cfg)
	l.nodes("127.0.0.1:25431")
	l.leader("127.0.0.1:25431")
	l.await("the agent", func(x told) bool { return x.agent.Node == "127.0.0.1:25431" && x.agent.Leads })
}

func TestCredentialsGoWhereTheConfigurationAllowsIt(t *testing.T) {
	s := newSite(t, 1)
	asked := make(chan string, 1)
	s.member(1).does("/cluster", func(_ http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		asked <- user + " " + password
	})
	for _, c := range []struct{ url, want string }{{"http://elsewhere", "ann hush"}, {"https://elsewhere", " "}} {
		cfg := quick(c.url)
		cfg.Username, cfg.Password = "ann", "hush"
		q, err := newClient(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.get(t.Context(), s.member(1).URL, "/cluster", statusOK); err != nil {
			t.Error(err)
		}
		if got := <-asked; got != c.want {
			t.Errorf("with %s: %q", c.url, got)
		}
	}
}

func TestAReloadAsksOthersAndKeepsWhoWasFound(t *testing.T) {
	a, b := newSite(t, 2), newSite(t, 1)
	b.move(b.member(1), 7)
	source, l, _ := listen(t, quick(a.member(1).URL))
	l.nodes("127.0.0.1:15431", "127.0.0.1:15432")
	a.drop(a.member(2))
	cfg := quick(a.member(1).URL)
	cfg.Interval *= 2
	if err := source.Reload(cfg); err != nil {
		t.Error(err)
	}
	l.nodes("127.0.0.1:15431", "127.0.0.1:15432")
	if err := source.Reload(Config{}); err == nil {
		t.Error("a faulty configuration is taken")
	}
	if err := source.Reload(quick(b.member(1).URL)); err != nil {
		t.Error(err)
	}
	l.nodes("127.0.0.1:7")
	if err := source.Reload(Defaults()); err != nil {
		t.Error(err)
	}
	l.nodes()
}

// silent is a prober whose nodes never answer.
type silent struct{}

// Open is part of discovery.Prober.
func (silent) Open(topology.Member) discovery.Session { return silent{} }

// Probe is part of discovery.Session.
func (silent) Probe(context.Context, discovery.Question) topology.Observation {
	return topology.Observation{Outcome: topology.OutcomeMissed}
}

// Wait is part of discovery.Session.
func (silent) Wait(ctx context.Context) { <-ctx.Done() }

// Close is part of discovery.Session.
func (silent) Close() {}

func TestMembersReachTheManager(t *testing.T) {
	s := newSite(t, 2)
	source, err := New(quick(s.member(1).URL), Deps{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := discovery.Defaults()
	cfg.Cluster = "main"
	m, err := discovery.NewManager(cfg, discovery.Deps{Sources: []discovery.Source{source}, Prober: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	changed, stop := m.Subscribe()
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	limit := time.After(patience)
	for len(m.Snapshot().Nodes) < 2 {
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%+v", m.Snapshot().Nodes)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestWhomAnotherSourceHasFoundIsAskedOfItself: without a URL nobody is asked for the cluster, and no members are told.
func TestWhomAnotherSourceHasFoundIsAskedOfItself(t *testing.T) {
	s := newSite(t, 2)
	source, l, _ := listen(t, quick())
	silent := func(x told) {
		if x.testimony.Source != "" || len(x.members) > 0 {
			t.Errorf("who was not configured says %+v", x)
		}
	}
	said := func(n int) {
		t.Helper()
		l.await("what an agent says", func(x told) bool {
			silent(x)
			return x.agent.Node == s.member(n).node() && x.agent.Leads == (n == 1)
		})
	}
	address := func(n int) discovery.AgentAddress {
		return discovery.AgentAddress{Name: s.member(n).name, Server: string(s.member(n).node()), URL: s.member(n).URL + "/patroni"}
	}
	source.Introduce([]discovery.AgentAddress{address(1), {Name: "n9", Server: "127.0.0.1:1", URL: "file:///etc/passwd"}})
	said(1)
	source.Introduce([]discovery.AgentAddress{address(1), address(2)})
	said(2)
	source.Introduce([]discovery.AgentAddress{address(2)})
	asked, rounds := 0, 0
	l.await("a member that is introduced no more is left alone", func(x told) bool {
		silent(x)
		if now := s.member(1).count("/leader"); now != asked {
			asked, rounds = now, 0
		}
		if x.agent.Node == s.member(2).node() {
			rounds++
		}
		return rounds > 3
	})
	if n := s.member(1).count("/cluster") + s.member(2).count("/cluster"); n > 0 {
		t.Errorf("asked for the cluster %d times", n)
	}
}
