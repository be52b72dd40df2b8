package patroni

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

// sample returns what a member of real clusters answered.
func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func TestAClusterIsReadFromTheAnswersOfAllVersions(t *testing.T) {
	at := time.Date(2026, 11, 10, 3, 0, 0, 0, time.UTC)
	for name, want := range map[string]topology.Testimony{
		"cluster-3.0.2.json":        {Leader: "127.0.0.1:15432", Sync: []topology.NodeID{"127.0.0.1:15431"}},
		"cluster-3.0.2-paused.json": {Leader: "127.0.0.1:15432", Sync: []topology.NodeID{"127.0.0.1:15431"}, Paused: true},
		"cluster-3.0.2-scheduled.json": {
			Leader: "127.0.0.1:15432", Sync: []topology.NodeID{"127.0.0.1:15431"},
			Asked: topology.Request{Pending: true, From: "127.0.0.1:15432", To: "127.0.0.1:15431", At: at.AddDate(1, 0, 0)},
		},
		"cluster-3.0.2-nobody.json": {Sync: []topology.NodeID{"127.0.0.1:15431"}},
		"cluster-4.0.json":          {Leader: "[2001:db8::11]:5432", Asked: topology.Request{Pending: true, From: "[2001:db8::11]:5432", At: at}},
		"cluster-4.0-standby.json":  {Leader: "db1.example:5432"},
	} {
		c, err := parseCluster(sample(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := c.testimony(nil)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestMembersAreReadWithWhatTheyAreCalledAndWhereTheyAre(t *testing.T) {
	c, err := parseCluster(sample(t, "cluster-4.0.json"))
	want := []member{
		{name: "n1", base: "http://[2001:db8::11]:8008", address: "[2001:db8::11]:5432"},
		{name: "n2", base: "https://db2.example:8008", address: "db2.example:5433"},
		{name: "n3"},
	}
	if diff := cmp.Diff(want, c.members, cmp.AllowUnexported(member{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestWhatIsNoClusterIsRefused(t *testing.T) {
	one := `{"name":"a","role":"leader","host":"h","port":1}`
	for text, why := range map[string]string{
		``: "no list", `null`: "does not name", `{}`: "does not name", `[]`: "no list", `<html>`: "no list", `{"members":{}}`: "no list",
		`{"members":[{"name":"a","port":"5432"}]}`:                        "no list",
		`{"members":[{"role":"leader"}]}`:                                 "has no name",
		`{"members":[` + one + `,` + one + `]}`:                           "twice",
		`{"members":[` + one + `,{"name":"b","role":"master"}]}`:          "both are called leader",
		`{"members":[{"name":"a","role":"leader"}]}`:                      "has no address",
		`{"members":[{"name":"a","role":"leader","host":"h, g"}]}`:        "has no address",
		`{"members":[{"name":"a","role":"leader","host":"h","port":-1}]}`: "has no address",
		`{"members":[],"scheduled_switchover":{"at":"soon"}}`:             "no time",
		`{"members":[` + strings.Repeat(`{},`, maxMembers) + `{}]}`:       "more than",
	} {
		if _, err := parseCluster([]byte(text)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.60s: %v, not %s", text, err, why)
		}
	}
	if c, err := parseCluster([]byte(`{"members":[]}`)); err != nil || len(c.members) != 0 {
		t.Errorf("a cluster that is being made: %v", err)
	}
}

func TestAnAgentIsReadFromTheAnswersOfAllVersions(t *testing.T) {
	for name, c := range map[string]struct {
		leads bool
		want  status
	}{
		"leader-3.0.2.json":    {true, status{state: topology.AgentRunning, timeline: 1, tags: topology.Tags{NoLoadBalance: true}}},
		"replica-3.0.2.json":   {false, status{state: topology.AgentRunning, timeline: 1}},
		"stopping-3.0.2.json":  {true, status{state: topology.AgentStopping, tags: topology.Tags{NoLoadBalance: true}}},
		"unlocked-3.0.2.json":  {false, status{state: topology.AgentStopping, tags: topology.Tags{NoLoadBalance: true}, unlocked: true}},
		"promoting-3.0.2.json": {true, status{state: topology.AgentPromoting, timeline: 1}},
		"failsafe-4.0.json":    {true, status{state: topology.AgentRunning, timeline: 7, unlocked: true, failsafe: true}},
		"promoting-4.0.json":   {true, status{state: topology.AgentPromoting, timeline: 7, tags: topology.Tags{NoStream: true, ReplicateFrom: "n3"}}},
	} {
		got, err := parseStatus(sample(t, name), c.leads)
		if err != nil || got.lastSeen == nil || got.systemID == 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		got.lastSeen, got.systemID = nil, 0
		if got != c.want {
			t.Errorf("%s: %+v\nwant %+v", name, got, c.want)
		}
	}
}

func TestEachWordOfPatroniHasItsState(t *testing.T) {
	for words, want := range map[string]topology.AgentState{
		"running/master": topology.AgentRunning, "running/primary": topology.AgentRunning, "running/standby_leader": topology.AgentRunning,
		"running/replica": topology.AgentPromoting, "running/promoted": topology.AgentPromoting,
		"starting/master": topology.AgentStarting, "restarting/primary": topology.AgentStarting, "creating replica/uninitialized": topology.AgentStarting,
		"stopping/master": topology.AgentStopping, "stopped/demoted": topology.AgentStopped, "crashed/primary": topology.AgentStopped,
		"start failed/replica": topology.AgentStopped, "stop failed/primary": topology.AgentUnknown, "unknown/master": topology.AgentUnknown,
		"dreaming/primary": topology.AgentUnknown,
	} {
		state, role, _ := strings.Cut(words, "/")
		if got := agentState(state, role, true); got != want {
			t.Errorf("%s: %d, want %d", words, got, want)
		}
	}
	if got := agentState("running", "replica", false); got != topology.AgentRunning {
		t.Errorf("a standby without the lock: %d", got)
	}
}

func TestTagsAreReadAsPatroniReadsThem(t *testing.T) {
	for text, want := range map[string]topology.Tags{
		`{"noloadbalance":true,"nostream":true,"nofailover":true}`: {NoLoadBalance: true, NoStream: true, NoFailover: true},
		`{"noloadbalance":false,"nofailover":0,"replicatefrom":5}`: {},
		`{"nofailover":"no"}`:                         {NoFailover: true},
		`{"failover_priority":0}`:                     {NoFailover: true},
		`{"failover_priority":3,"zone":"b"}`:          {},
		`{"failover_priority":0,"nofailover":false}`:  {},
		`{"replicatefrom":"n2","noloadbalance":null}`: {ReplicateFrom: "n2"},
	} {
		s, err := parseStatus([]byte(`{"state":"running","tags":`+text+`}`), false)
		if err != nil || s.tags != want {
			t.Errorf("%s: %+v, %v", text, s.tags, err)
		}
	}
}

func TestWhatIsNoStatusIsRefused(t *testing.T) {
	for _, text := range []string{
		``, `null`, `{}`, `[]`, `{"state":5}`, `{"state":"running","timeline":-1}`,
		`{"state":"running","database_system_identifier":"abc"}`, `{"state":"running","tags":[]}`,
	} {
		if s, err := parseStatus([]byte(text), true); err == nil {
			t.Errorf("%s: %+v", text, s)
		}
	}
}

func TestAnAnswerIsAsOldAsTheLookIntoTheDCS(t *testing.T) {
	asked := time.Date(2026, 11, 21, 10, 0, 0, 400e6, time.UTC)
	answered := asked.Add(300 * time.Millisecond)
	clock := time.Date(2020, 1, 1, 0, 0, 9, 0, time.UTC) // the member's, which is wrong by years
	seen := func(ago int64) *int64 { at := clock.Unix() - ago; return &at }
	for _, c := range []struct {
		name  string
		seen  *int64
		clock time.Time
		want  time.Time
	}{
		{"just now", seen(0), clock, asked},
		{"just now, over the second", seen(1), clock, asked},
		{"before the question", seen(2), clock, answered.Add(-2 * time.Second)},
		{"long before", seen(40), clock, answered.Add(-40 * time.Second)},
		{"in its future", seen(-5), clock, asked},
		{"not said", nil, clock, asked},
		{"no clock", seen(40), time.Time{}, asked},
	} {
		if got := (&status{lastSeen: c.seen}).looked(asked, answered, c.clock); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTheLeaseIsTheTTL(t *testing.T) {
	if ttl, err := parseTTL(sample(t, "config-3.0.2.json")); ttl != 20*time.Second || err != nil {
		t.Errorf("%s, %v", ttl, err)
	}
	for _, text := range []string{``, `{}`, `{"ttl":0}`, `{"ttl":-3}`, `{"ttl":99999999999999}`, `{"ttl":"30"}`} {
		if ttl, err := parseTTL([]byte(text)); err == nil {
			t.Errorf("%s: %s", text, ttl)
		}
	}
}

func FuzzCluster(f *testing.F) {
	for _, name := range []string{"cluster-3.0.2.json", "cluster-3.0.2-scheduled.json", "cluster-4.0.json"} {
		f.Add(sample(f, name))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := parseCluster(body)
		if err != nil {
			return
		}
		said := c.testimony(nil)
		if (said.Leader == "") != (c.leader == "") || len(c.members) > maxMembers {
			t.Fatalf("%+v", c)
		}
		for _, m := range c.members {
			if again, err := baseURL(m.base); m.base != "" && (err != nil || again != m.base) {
				t.Fatalf("URL %q becomes %q, %v", m.base, again, err)
			}
			if again, err := discovery.ParseAddressMap([]string{m.address + "=a:1"}); m.address != "" && (err != nil || again.Through(m.address) != "a:1") {
				t.Fatalf("address %q is in no form that can be mapped: %v", m.address, err)
			}
		}
	})
}

func FuzzStatus(f *testing.F) {
	for _, name := range []string{"leader-3.0.2.json", "replica-3.0.2.json", "failsafe-4.0.json", "promoting-4.0.json"} {
		f.Add(sample(f, name), true)
	}
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, body []byte, leads bool) {
		s, err := parseStatus(body, leads)
		if err != nil {
			return
		}
		if s.state == topology.AgentPromoting && !leads && !strings.Contains(string(body), "promoted") {
			t.Fatal("promoted without the lock")
		}
		if s.looked(now, now.Add(time.Second), now).After(now) {
			t.Fatal("fresher than its question")
		}
	})
}
