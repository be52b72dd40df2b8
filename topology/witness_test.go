package topology

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWithoutADCSTestimoniesCountForNothing(t *testing.T) {
	s := newTale(t, "a", "b")
	s.tell(`
		dcs b asked a>b sys 8
		a primary 1, b standby 1
		=> steady a 1 quiet`)
	if snap := s.state.Snapshot(); snap.DCS != DCSNone || snap.Leader != "" || snap.Asked.Pending {
		t.Errorf("%+v", snap)
	}
}

func TestTheSnapshotShowsWhatTheWitnessesSaid(t *testing.T) {
	s := taleWith(t, dcsLimits, "a", "b")
	s.tell("a primary 1, b standby 1, dcs a asked a>b sync b, agent b follows noloadbalance running")
	snap := s.state.Snapshot()
	a, b := snap.Node("a"), snap.Node("b")
	if snap.DCS != DCSHeard || snap.Leader != "a" || snap.Paused || snap.Asked != (Request{Pending: true, From: "a", To: "b"}) || snap.SystemID != taleSystem {
		t.Errorf("%+v", snap)
	}
	if a.Sync || !b.Sync || b.Agent != AgentRunning || b.Tags != (Tags{NoLoadBalance: true}) {
		t.Errorf("a %+v, b %+v", a, b)
	}
	s.tell("agent b fails")
	if b := s.state.Snapshot().Node("b"); b.Agent != AgentUnknown || !b.Tags.NoLoadBalance {
		t.Errorf("an agent that fails: %+v", b)
	}
	s.tell("dcs a")
	if snap := s.state.Snapshot(); snap.Asked != (Request{}) || snap.Node("b").Sync {
		t.Errorf("%+v", snap)
	}
	s.tell("dcs a asked a>b paused\npass 11s\na primary 1, b standby 1")
	if snap := s.state.Snapshot(); snap.DCS != DCSLost || snap.Asked.Pending || snap.Leader != "a" || !snap.Paused {
		t.Errorf("after the lease: %+v", snap)
	}
}

func TestTheIdentityOfTheDCSIsShownBeforeThereIsAPrimary(t *testing.T) {
	s := taleWith(t, dcsLimits, "a", "b")
	s.tell("dcs -")
	if snap := s.state.Snapshot(); snap.SystemID != taleSystem || s.state.Floor().Known() {
		t.Errorf("%+v, floor %+v", snap, s.state.Floor())
	}
}

func TestWhatTheDCSSaysIsTold(t *testing.T) {
	s := taleWith(t, dcsLimits, "a", "b")
	for _, step := range []struct {
		line string
		want []ChangeKind
	}{
		{"a primary 1, b standby 1, dcs a", []ChangeKind{ChangeLeaderKeyMoved, ChangeNodeUp, ChangeNodeUp, ChangePrimaryChanged}},
		{"dcs a", nil},
		{"dcs a paused", []ChangeKind{ChangePatroniPaused}},
		{"dcs a", []ChangeKind{ChangePatroniResumed}},
		{"dcs a asked a>b", []ChangeKind{ChangeRequestSeen}},
		{"dcs a asked a>b", nil},
		{"dcs a asked a>-", []ChangeKind{ChangeRequestGone, ChangeRequestSeen}},
		{"dcs a", []ChangeKind{ChangeRequestGone}},
		{"dcs -", []ChangeKind{ChangeLeaderKeyMoved, ChangePrimaryLost}},
		{"dcs a", []ChangeKind{ChangeLeaderKeyMoved, ChangePrimaryConfirmed}},
		{"dcs fails", nil},
		{"agent a leads", nil},
		{"agent a leads stopping", []ChangeKind{ChangePrimaryLost}},
		{"agent a leads running", []ChangeKind{ChangePrimaryConfirmed}},
	} {
		if got := kinds(s.last(step.line)); !slices.Equal(got, step.want) {
			t.Errorf("%s\n got %v\nwant %v", step.line, got, step.want)
		}
	}
	s.play("pass 11s")
	s.changes = nil
	s.play("agent a leads, a primary 1, b standby 1, dcs fails")
	i := slices.IndexFunc(s.changes, func(c Change) bool { return c.Kind == ChangeDCSLost })
	if i < 0 || !strings.Contains(s.changes[i].Reason, "etcd: fails") {
		t.Errorf("dcs lost: %+v", s.changes)
	}
	s.changes = nil
	s.play("pass 2s")
	s.play("dcs a")
	if i = slices.IndexFunc(s.changes, func(c Change) bool { return c.Kind == ChangeDCSBack }); i < 0 || s.changes[i].Took < 2*time.Second {
		t.Errorf("dcs back: %+v", s.changes)
	}
}

func TestAPrimaryIsLostForAReasonThatIsTold(t *testing.T) {
	for line, want := range map[string]string{
		"dcs -":                  "the DCS names nobody",
		"dcs b":                  "the DCS names b",
		"dcs a sys 8":            "the DCS speaks of another cluster",
		"agent a leads stopping": "its agent says that it is stopping",
		"b primary 2":            "timeline 2",
		"a refused":              "refused",
	} {
		s := taleWith(t, dcsLimits, "a", "b")
		s.tell("a primary 1, b standby 1, dcs a")
		changes := s.last(line)
		i := slices.IndexFunc(changes, func(c Change) bool { return c.Kind == ChangePrimaryLost })
		if i < 0 || !strings.Contains(changes[i].Reason, want) {
			t.Errorf("%s: %+v", line, changes)
		}
	}
}

func TestASuccessorByTheDCSSaysWhatIsNotProven(t *testing.T) {
	s := taleWith(t, dcsLimits, "a", "b")
	s.tell("a primary 1, b standby 1, dcs a")
	changes := s.last("a missed, dcs b", "b primary 2")
	i := slices.IndexFunc(changes, func(c Change) bool { return c.Kind == ChangePrimaryChanged })
	if i < 0 || !strings.Contains(changes[i].Reason, "nothing proves that this follows timeline 1") {
		t.Errorf("%+v", changes)
	}
}

func TestOfSeveralSourcesTheOneAskedLastCounts(t *testing.T) {
	s := taleWith(t, dcsLimits, "a", "b")
	s.tell("a primary 1, b standby 1, dcs a")
	say := func(source string, leader NodeID, ago time.Duration) {
		said := []Testimony{{Source: source, At: s.now.Add(-ago), Lease: taleLease, Leader: leader}}
		s.keep(Witness(s.state, said, nil, s.now))
	}
	s.now = s.now.Add(time.Second)
	say("patroni", "b", 2*time.Second)
	s.play("=> steady a 1")
	say("patroni", "", 0)
	s.play("=> leaderless - 1")
	s.now = s.now.Add(time.Second)
	say("etcd", "a", 0)
	s.play("=> steady a 1")
	say("etcd", "b", time.Second)
	s.play("=> steady a 1")
}

// Patroni's REST interface shows scheduled requests alone.
func TestWhoSeesScheduledRequestsAloneTakesNoneBack(t *testing.T) {
	s := taleWith(t, dcsLimits, "a", "b")
	s.tell("a primary 1, b standby 1")
	asked := Request{Pending: true, From: "a", To: "b"}
	say := func(word Testimony, want Request) {
		t.Helper()
		s.now = s.now.Add(time.Second)
		word.At, word.Lease, word.Leader = s.now, taleLease, "a"
		s.keep(Witness(s.state, []Testimony{word}, nil, s.now))
		if got := s.state.Snapshot().Asked; got != want {
			t.Errorf("after %+v: %+v is asked for", word, got)
		}
	}
	say(Testimony{Source: "etcd", SeesAll: true, Asked: asked}, asked)
	say(Testimony{Source: "patroni"}, asked)
	say(Testimony{Source: "etcd", SeesAll: true}, Request{})
	say(Testimony{Source: "etcd", SeesAll: true, Asked: asked}, asked)
	say(Testimony{Source: "etcd", Problem: "no answer"}, asked)
	say(Testimony{Source: "patroni"}, Request{})
}

func TestWhatWitnessesSayLateOrOfTheFutureIsNotBelieved(t *testing.T) {
	s := taleWith(t, dcsLimits, "a", "b")
	s.tell("a primary 1, b standby 1, dcs a, agent a leads")
	early := s.now.Add(-time.Second)
	s.keep(Witness(s.state, []Testimony{{Source: "etcd", At: early, Lease: time.Hour}}, []Agent{{Node: "a", At: early, State: AgentStopping}}, s.now))
	s.keep(Witness(s.state, nil, []Agent{{Node: "stranger", At: s.now, Leads: true}}, s.now))
	s.play("=> steady a 1")
	s.keep(Witness(s.state, []Testimony{{Source: "etcd", At: s.now.Add(time.Hour), Lease: taleLease, Leader: "a"}}, nil, s.now))
	s.tell("pass 11s\na primary 1, b standby 1\n=> doubtful - 1 lost")
}

func TestEqualRequestsAreEqualWhateverTheirTimeZone(t *testing.T) {
	s := taleWith(t, dcsLimits, "a", "b")
	at := time.Date(2026, 11, 10, 3, 0, 0, 0, time.UTC)
	for i, zone := range []*time.Location{time.UTC, time.FixedZone("CET", 3600)} {
		s.changes, s.now = nil, s.now.Add(time.Second)
		asked := Request{Pending: true, From: "a", At: at.In(zone)}
		s.keep(Witness(s.state, []Testimony{{Source: "etcd", At: s.now, Lease: taleLease, Asked: asked}}, nil, s.now))
		seen := slices.IndexFunc(s.changes, func(c Change) bool { return c.Kind == ChangeRequestSeen })
		if (seen >= 0) != (i == 0) || i == 0 && s.changes[seen].Reason != "scheduled at 2026-11-10T03:00:00Z" {
			t.Errorf("request %d: %+v", i, s.changes)
		}
	}
}

func TestWitnessLeavesTheOldStateAlone(t *testing.T) {
	s := taleWith(t, dcsLimits, "a", "b")
	s.tell("a primary 1, b standby 1, dcs a, agent a leads")
	before, said, nodes, picture := s.state, slices.Clone(s.state.said), slices.Clone(s.state.nodes), *s.state.snap
	s.tell("dcs b asked b>a, agent a follows stopping")
	all := cmp.AllowUnexported(memory{}, source{})
	if diff := cmp.Diff(said, before.said, all) + cmp.Diff(nodes, before.nodes, all) + cmp.Diff(picture, *before.snap); diff != "" {
		t.Errorf("Witness changed the state that it was given:\n%s", diff)
	}
}
