package topology

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The table of clusters with a DCS. Beside the events of the conflict table, a line of a story may hold:
//
//	dcs a                  the DCS is heard: a holds the leader key ("dcs -": nobody)
//	dcs a paused           … and Patroni is paused
//	dcs a sys 8            … and initialize holds another system identifier (7 otherwise; "sys 0": not said)
//	dcs a asked a>b        … and a switchover from a to b is asked for
//	dcs a sync b           … and b is a synchronous standby
//	dcs fails              the DCS was asked and did not answer
//	agent a leads          a's agent says that it leads ("agent a follows": that it does not)
//	agent a leads stopping … and what it does with its server
//	agent a fails          it was asked and did not answer
//
// What the DCS says counts for 10 s. After "=>" may also stand "heard", "lost" and "awaited", of the DCS. The nodes are a, b and c.
var dcsTable = []struct{ sentence, story string }{
	{"the node that the DCS names is opened when it is ready", `
		a primary 1, b standby 1, c standby 1
		=> unknown - 0 awaited quiet
		dcs a
		=> steady a 1 heard quiet`},
	{"the node that the DCS names is not opened before SQL shows that it is ready", `
		a standby 1, b standby 1, c standby 1, dcs a
		=> leaderless - 0
		a primary 1
		=> steady a 1`},
	{"the only writable node is not opened while the DCS names nobody", `
		a primary 1, b standby 1, c standby 1, dcs -
		=> leaderless - 0 alarm
		dcs a
		=> steady a 1 quiet`},
	{"the only writable node is not opened while the DCS names another", `
		a primary 1, b standby 1, c standby 1, dcs b
		=> leaderless - 0 alarm`},
	{"nothing is opened without the DCS", `
		a primary 1, b standby 1, c standby 1, dcs fails, agent a leads
		=> leaderless - 0 lost alarm`},
	{"a DCS of which nothing at all is heard is waited for only so long", `
		a primary 1, b standby 1, c standby 1
		wait 5s
		=> leaderless - 0 lost alarm`},
	{"after a restart of the router nothing is opened without the DCS", `
		a primary 1, b standby 1, c standby 1, dcs a
		router restarts
		a primary 1, b standby 1, c standby 1, dcs fails, agent a leads
		=> leaderless - 1 lost alarm
		dcs a
		=> steady a 1 quiet`},

	{"a leader key that is gone takes the primary away", `
		a primary 1, b standby 1, c standby 1, dcs a
		dcs -
		=> leaderless - 1 alarm
		dcs a
		=> steady a 1 quiet`},
	{"a leader key that moved takes the primary away before the other is ready", `
		a primary 1, b standby 1, c standby 1, dcs a
		dcs b
		=> leaderless - 1
		b primary 2 from 1@60
		=> steady b 2 refused a`},
	{"a primary that is silent and not named any more is lost, not doubtful", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed
		=> doubtful - 1
		dcs -
		=> leaderless - 1`},
	{"a primary that is silent while its agent stops it is lost, not doubtful", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed
		=> doubtful - 1
		agent a leads stopping
		=> leaderless - 1`},
	{"a readiness that is gone takes the primary away although the DCS names it", `
		a primary 1, b standby 1, c standby 1, dcs a
		a refused
		=> leaderless - 1
		a primary 1 again
		=> steady a 1`},
	{"a missed heartbeat is doubt although the DCS names the node", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed
		=> doubtful - 1
		a primary 1
		=> steady a 1`},
	{"a name that is no member opens nobody", `
		a primary 1, b standby 1, c standby 1, dcs a
		dcs stranger
		=> leaderless - 1`},

	{"a promotion needs no history where the DCS names the node", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, dcs b
		b primary 2
		=> steady b 2`},
	{"a history of another branch is the DCS's affair", `
		a primary 2, b standby 2, c standby 2, dcs a
		a missed, dcs b
		b primary 3 from 1@60
		=> steady b 2 usable b`},
	{"a node below the floor is not opened whoever names it", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, dcs b, b primary 2
		=> steady b 2
		b missed, a primary 1 again, dcs a
		=> leaderless - 2 alarm refused a`},
	{"a node on the same timeline follows a silent primary when the DCS names it", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, dcs b
		b primary 1
		=> steady b 2`},
	{"of two writable nodes on one timeline the DCS's one is opened, the other refused", `
		a primary 1, b primary 1, c standby 1, dcs a
		=> steady a 1 alarm refused b`},
	{"of two writable nodes the DCS's one is opened although the other's timeline is newer", `
		a primary 1, b primary 2 from 1@60, c standby 1, dcs a
		=> steady a 1 alarm refused b`},
	{"two writable nodes of which the DCS names neither are a split", `
		a primary 1, b primary 1, c standby 1, dcs -
		=> split - 0 alarm
		dcs b
		=> steady b 1 alarm refused a`},
	{"a rival that the DCS cannot have known holds the writes until the DCS has spoken", `
		a primary 1, b standby 1, c standby 1, dcs a
		b primary 2 from 1@60
		=> leaderless - 1 alarm
		a primary 1, b primary 2 from 1@60
		=> leaderless - 1 alarm
		dcs a
		=> steady a 1 alarm refused b`},
	{"a rival on the same timeline that the DCS cannot have known does so too", `
		a primary 1, b standby 1, c standby 1, dcs a
		b primary 1
		=> leaderless - 1 alarm
		dcs b
		=> steady b 2 alarm refused a`},
	{"a rival that lives anew counts anew", `
		a primary 1, b primary 2, c standby 1, dcs a
		=> steady a 1 refused b
		b primary 2 again
		=> leaderless - 1 alarm
		dcs a
		=> steady a 1`},
	{"a read-only node that becomes writable is a rival from then on", `
		a primary 1, b readonly 1, c standby 1, dcs a
		=> steady a 1
		b primary 1
		=> leaderless - 1 alarm`},
	{"a standby that knows a newer timeline holds the writes until the DCS has spoken", `
		a primary 1, b standby 1, c standby 1, dcs a
		c standby 2
		=> leaderless - 1 alarm
		dcs a
		=> steady a 1 alarm`},
	{"standbys that follow the new primary are no rivals", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, dcs b
		b primary 2
		c standby 2
		=> steady b 2`},

	{"while the DCS is silent the primary is kept when its own agent says that it leads", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b standby 1, c standby 1, agent a leads
		=> steady a 1 lost alarm
		dcs a
		=> steady a 1 heard quiet`},
	{"while the DCS is silent a primary whose agent is silent is in doubt", `
		a primary 1, b standby 1, c standby 1, dcs a, agent a leads
		pass 11s
		a primary 1, b standby 1, c standby 1
		=> doubtful - 1 alarm
		agent a fails
		=> doubtful - 1
		agent a leads
		=> steady a 1`},
	{"while the DCS is silent a primary whose agent denies is lost for good", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b standby 1, c standby 1, agent a follows
		=> leaderless - 1 alarm
		agent a leads
		=> leaderless - 1
		dcs a
		=> steady a 1`},
	{"while the DCS is silent a second agent that leads is contrary evidence", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b standby 1, c standby 1, agent a leads, agent b leads
		=> doubtful - 1`},
	{"while the DCS is silent a newer timeline is contrary evidence", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b standby 1, c standby 2, agent a leads
		=> leaderless - 1 alarm`},
	{"while the DCS is silent a second writable node is a split", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b primary 1, c standby 1, agent a leads
		=> split - 1 alarm
		b standby 1 again
		=> leaderless - 1
		dcs a
		=> steady a 1`},
	{"while the DCS is silent a lost primary stays lost", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a refused, b standby 1, c standby 1, agent a leads
		=> leaderless - 1
		a primary 1 again, agent a leads
		=> leaderless - 1 alarm`},
	{"while the DCS is silent no other node is opened, whatever SQL and its agent say", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a refused, b primary 2 from 1@60, c standby 2, agent a fails, agent b leads
		=> leaderless - 1 alarm
		dcs b
		=> steady b 2 quiet`},
	{"while the DCS is silent no other node is opened on the same timeline either", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a missed, b standby 1, c standby 1, agent b leads
		=> doubtful - 1
		a refused, b primary 1, c standby 1
		=> leaderless - 1`},
	{"a missed heartbeat while the DCS is silent is forgiven", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b standby 1, c standby 1, agent a leads
		a missed
		=> doubtful - 1
		a primary 1, agent a leads
		=> steady a 1`},
	{"the same node on a newer timeline is not kept, it begins another reign", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 2 from 1@60, b standby 1, c standby 1, agent a leads
		=> doubtful - 1
		dcs a
		=> steady a 2`},
	{"a failure to ask the DCS means nothing before its last word is too old", `
		a primary 1, b standby 1, c standby 1, dcs a
		dcs fails
		=> steady a 1 heard quiet`},

	{"a node whose agent stops it gets nothing more", `
		a primary 1, b standby 1, c standby 1, dcs a
		agent a leads stopping
		=> leaderless - 1
		agent a leads running
		=> steady a 1`},
	{"a node whose agent is promoting it gets nothing yet", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, dcs b, agent b leads promoting
		b primary 2
		=> leaderless - 1
		agent b leads running
		=> steady b 2`},
	{"an agent's word grows old", `
		a primary 1, b standby 1, c standby 1, dcs a
		agent a leads stopping
		pass 4s
		a primary 1, b standby 1, c standby 1
		=> steady a 1`},
	{"an agent that denies is overruled by the DCS that names its node", `
		a primary 1, b standby 1, c standby 1, dcs a, agent a follows
		=> steady a 1`},

	{"in Patroni's pause the SQL witness alone counts", `
		a primary 1, b standby 1, c standby 1, dcs - paused
		=> steady a 1 quiet
		a refused
		b primary 2 from 1@60
		=> steady b 2`},
	{"in Patroni's pause nothing is proven without a history", `
		a primary 1, b standby 1, c standby 1, dcs a paused
		a refused
		b primary 2
		=> leaderless - 1 alarm`},
	{"in Patroni's pause two writable nodes are a split, whatever the key says", `
		a primary 1, b primary 1, c standby 1, dcs a paused
		=> split - 0 alarm`},
	{"when the pause ends the key counts again", `
		a primary 1, b standby 1, c standby 1, dcs - paused
		=> steady a 1
		dcs -
		=> leaderless - 1 alarm
		dcs a
		=> steady a 1`},
	{"a pause is not believed for longer than the lease", `
		a primary 1, b standby 1, c standby 1, dcs a paused
		pass 11s
		a primary 1, b standby 1, c standby 1
		=> doubtful - 1 lost alarm`},

	{"the identity that the DCS tells refuses a node of another cluster", `
		a primary 1 sys 8, b standby 1, c standby 1, dcs a
		=> leaderless - 0 alarm refused a usable b`},
	{"the identity that the DCS tells decides between two clusters", `
		a primary 1, b primary 1 sys 8, c standby 1, dcs a
		=> steady a 1 alarm refused b usable c`},
	{"without an identity nodes of two clusters are all refused, unless the DCS names one", `
		a standby 1, b standby 1 sys 8, c standby 1, dcs - sys 0
		=> leaderless - 0 alarm refused a refused b`},
	{"a DCS of another cluster permits nothing", `
		a primary 1, b standby 1, c standby 1, dcs a
		dcs a sys 8
		=> leaderless - 1 alarm
		dcs a paused sys 8
		=> leaderless - 1 alarm`},
	{"an operator accepts a cluster that was re-initialised under the same DCS", `
		a primary 3, b standby 3, c standby 3, dcs a
		a primary 1 sys 8 again, b standby 1 sys 8 again, c standby 1 sys 8 again, dcs a sys 8
		=> leaderless - 1 alarm
		operator accepts
		=> steady a 2 quiet usable b`},
	{"an operator's word is no permission", `
		a primary 1, b standby 1, c standby 1, dcs -
		operator accepts
		=> leaderless - 0 alarm`},
}

var dcsLimits = func() Limits {
	l := taleLimits
	l.DCS = true
	return l
}()

func TestEachRowOfTheTableOfClustersWithADCS(t *testing.T) {
	for _, row := range dcsTable {
		t.Run(row.sentence, func(t *testing.T) { taleWith(t, dcsLimits, "a", "b", "c").tell(row.story) })
	}
}

func TestWritesAreHeldAtOnceWithoutTheDCSWhereThatIsWanted(t *testing.T) {
	limits := dcsLimits
	limits.HoldWithoutDCS = true
	taleWith(t, limits, "a", "b").tell(`
		a primary 1, b standby 1, dcs a
		=> steady a 1
		pass 11s
		a primary 1, b standby 1, agent a leads
		=> doubtful - 1 alarm
		dcs a
		=> steady a 1 quiet`)
}

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

const taleLease = 10 * time.Second

// see takes in what one line of a story holds. The witnesses of the cluster come first, the agents with them.
func (s *tale) see(parts []string) {
	var seen []Observation
	var said []Testimony
	var agents []Agent
	for _, part := range parts {
		switch words := strings.Fields(part); words[0] {
		case "dcs":
			said = append(said, s.testimony(words[1:]))
		case "agent":
			agents = append(agents, s.agent(words[1:]))
		default:
			seen = append(seen, s.observation(words))
		}
	}
	if said != nil || agents != nil {
		s.keep(Witness(s.state, said, agents, s.now))
	}
	if seen != nil {
		s.keep(Next(s.state, seen, s.now))
	}
}

func (s *tale) testimony(words []string) Testimony {
	t := Testimony{Source: "etcd", At: s.now, Lease: taleLease, SystemID: taleSystem}
	if words[0] == "fails" {
		t.Problem = "fails"
		return t
	}
	node := func(name string) NodeID { return NodeID(strings.TrimPrefix(name, "-")) }
	t.Leader = node(words[0])
	for rest := words[1:]; len(rest) > 0; rest = rest[1:] {
		switch rest[0] {
		case "paused":
			t.Paused = true
			continue
		case "sys":
			t.SystemID = s.number(rest[1], 10)
		case "sync":
			t.Sync = append(t.Sync, node(rest[1]))
		case "asked":
			from, to, _ := strings.Cut(rest[1], ">")
			t.Asked = Request{Pending: true, From: node(from), To: node(to)}
		default:
			s.t.Fatalf("story: what is %q?", rest[0])
		}
		rest = rest[1:]
	}
	return t
}

func (s *tale) agent(words []string) Agent {
	a := Agent{Node: NodeID(words[0]), At: s.now}
	for _, word := range words[1:] {
		switch word {
		case "leads", "follows":
			a.Leads = word == "leads"
		case "fails":
			a.Problem = "fails"
		case "noloadbalance":
			a.Tags.NoLoadBalance = true
		default:
			for a.State = AgentRunning; a.State.String() != word; a.State++ {
				if a.State > AgentStopped {
					s.t.Fatalf("story: what is %q?", word)
				}
			}
		}
	}
	return a
}

// shows reports whether the DCS stands as the word says.
func (s *tale) shows(snap *Snapshot, word string) bool { return snap.DCS.String() == word }
