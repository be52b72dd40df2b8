package etcd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

const (
	memberOne = `{"conn_url":"postgres://10.0.0.1:5432/postgres","state":"running","role":"master"}`
	memberTwo = `{"conn_url":"postgres://10.0.0.2:5432/postgres","state":"running","role":"replica","tags":{"noloadbalance":true}}`

	one = topology.NodeID("10.0.0.1:5432")
	two = topology.NodeID("10.0.0.2:5432")
)

// sample reads the keys of a file in testdata.
func sample(t *testing.T, name string) []pair {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]string
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	var pairs []pair
	for key, value := range keys {
		pairs = append(pairs, pair{key, []byte(value)})
	}
	return pairs
}

func TestThePatronisOfTwoAgesAreUnderstood(t *testing.T) {
	for name, want := range map[string]struct {
		said topology.Testimony
		tags map[topology.NodeID]topology.Tags
	}{
		"patroni-3.0.2.json": {
			topology.Testimony{SeesAll: true, Lease: 30 * time.Second, Leader: one, SystemID: 7412345678901234567, Sync: []topology.NodeID{two}},
			map[topology.NodeID]topology.Tags{one: {}, two: {NoLoadBalance: true, ReplicateFrom: "n1"}},
		},
		"patroni-4.1.json": {
			topology.Testimony{
				SeesAll: true,
				Lease:   20 * time.Second, Leader: "[2001:db8::1]:5432", SystemID: 7412345678901234567, Paused: true,
				Asked: topology.Request{
					Pending: true, From: "[2001:db8::1]:5432", To: "10.0.0.3:5432", At: time.Date(2026, 11, 10, 2, 0, 0, 0, time.UTC),
				},
				Sync: []topology.NodeID{"10.0.0.3:5432", "db2.example:5433"},
			},
			map[topology.NodeID]topology.Tags{"[2001:db8::1]:5432": {}, "db2.example:5433": {NoFailover: true, NoStream: true}, "10.0.0.3:5432": {}},
		},
	} {
		tree := parseTree(sample(t, name), nil)
		if diff := cmp.Diff(want.said, tree.testimony()); diff != "" || tree.notes() != "" {
			t.Errorf("%s: %s %s", name, diff, tree.notes())
		}
		tags := make(map[topology.NodeID]topology.Tags)
		for _, a := range tree.agents() {
			tags[a.Node] = a.Tags
		}
		if diff := cmp.Diff(want.tags, tags); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWhatCannotBeReadIsNamedAndNotThere(t *testing.T) {
	for _, row := range []struct{ key, value, note string }{
		{"initialize", "", ""},
		{"initialize", "x7", "initialize: expected a system identifier"},
		{"initialize", "-1", "initialize: expected a system identifier"},
		{"config", "{", "config: expected Patroni's configuration in JSON"},
		{"config", `{"ttl":"x"}`, "config: ttl: expected 1 to 86400 seconds"},
		{"config", `{"ttl":0}`, "config: ttl: expected 1 to 86400 seconds"},
		{"config", `{"ttl":1e9}`, "config: ttl: expected 1 to 86400 seconds"},
		{"config", `{"ttl":null,"pause":[1]}`, ""},
		{"failover", "", ""},
		{"failover", "{}", ""},
		{"failover", "n1:n2", "failover: expected a request in JSON"},
		{"failover", `{"member":"n2","scheduled_at":"2026-11-10T03:00:00"}`, "failover: scheduled_at: expected a time with its zone"},
		{"sync", "[]", "sync: expected the synchronous standbys in JSON"},
		{"sync", `{"sync_standby":"n2"}`, ""},
		{"members/n9", "{", "members/n9: expected a member in JSON"},
		{"members/n9", `{"state":"starting"}`, ""},
		{"members/n9", `{"conn_url":"postgres://u:secret@/"}`, "members/n9: conn_url: expected postgres://host:port/"},
		{"members/n9", memberOne, "members/n9: has the same address as n1"},
		{"leader", "n9", "leader: names a member that is not known"},
		{"status", "{", ""},
		{"optime/leader", "x", ""},
		{"0/leader", "n1", ""}, // a group of Citus has a scope of its own
	} {
		tree := parseTree([]pair{{"members/n1", []byte(memberOne)}, {row.key, []byte(row.value)}}, nil)
		if got := tree.notes(); got != row.note {
			t.Errorf("%s = %s: %q", row.key, row.value, got)
		}
		want := topology.Testimony{Lease: patroniTTL, SeesAll: true}
		if diff := cmp.Diff(want, tree.testimony()); diff != "" {
			t.Errorf("%s = %s: %s", row.key, row.value, diff)
		}
		if len(tree.members) != 1 {
			t.Errorf("%s = %s: %v", row.key, row.value, tree.members)
		}
	}
}

func TestValuesAreTakenAsPatroniTakesThem(t *testing.T) {
	for value, paused := range map[string]bool{
		`true`: true, `"on"`: true, `"Yes"`: true, `1`: true, `"1"`: true, `false`: false, `"off"`: false, `0`: false, `null`: false, `{}`: false,
	} {
		tree := parseTree([]pair{{"config", []byte(`{"ttl":" 25 ","pause":` + value + `}`)}}, nil)
		if tree.paused != paused || tree.ttl != 25*time.Second || tree.notes() != "" {
			t.Errorf("%s: %+v", value, tree)
		}
	}
	for value, never := range map[string]bool{
		`{"nofailover":"true"}`:                         true,
		`{"failover_priority":0}`:                       true,
		`{"failover_priority":"2"}`:                     false,
		`{"nofailover":false,"failover_priority":0}`:    false,
		`{"nofailover":true,"failover_priority":3}`:     true,
		`{"clonefrom":true,"zone":{"of":["any kind"]}}`: false,
	} {
		var said tags
		if err := json.Unmarshal([]byte(value), &said); err != nil || said.topology().NoFailover != never {
			t.Errorf("%s: %+v, %v", value, said, err)
		}
	}
}

func TestAnAddressIsTakenOutOfAConnURL(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://10.0.0.1:5432/postgres":             string(one),
		"postgresql://10.0.0.1":                         string(one),
		"postgres://user:p%40ss@DB1.Example:6000/x?a=b": "db1.example:6000",
		"postgres://[2001:db8::1]:05433/postgres":       "[2001:db8::1]:5433",
		"postgres://[fe80::1%25eth0]/":                  "[fe80::1%eth0]:5432",
	} {
		if got, err := parseConnURL(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "10.0.0.1:5432", "http://10.0.0.1:5432/", "postgres:///x", "postgres://:5432/", "postgres://a:0/", "postgres://a:65536/",
		"postgres://a,b:5432/", "postgres://a:1,b:2/", "postgres://::1/", "postgres://a b/", "postgres://u:secret@h:x/", "postgres://u:secret%@h/",
		"postgres://%2Ftmp/",
	} {
		got, err := parseConnURL(text)
		if err == nil {
			t.Errorf("%q is read as %q", text, got)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	}
}

func TestAMemberThatIsGoneIsToldForAnHour(t *testing.T) {
	now := time.Now()
	both := map[string]member{"n1": {id: one}, "n2": {id: two}}
	r := make(roll)
	names := func(members []topology.Member) (ids []topology.NodeID) {
		for _, m := range members {
			ids = append(ids, m.ID)
		}
		return ids
	}
	if got := names(r.call(both, now)); !slices.Equal(got, []topology.NodeID{one, two}) {
		t.Errorf("%v", got)
	}
	delete(both, "n1")
	if got := names(r.call(both, now.Add(keepMember))); !slices.Equal(got, []topology.NodeID{one, two}) {
		t.Errorf("%v", got)
	}
	if got := names(r.call(both, now.Add(keepMember+1))); !slices.Equal(got, []topology.NodeID{two}) {
		t.Errorf("%v", got)
	}
}

func TestOnlyTheKeysThatSayWhoLeadsHastenARead(t *testing.T) {
	for _, key := range []string{"leader", "members/n1", "failover", "config", "sync", "initialize"} {
		if isQuiet(key) {
			t.Error(key)
		}
	}
	for _, key := range []string{"status", "optime/leader", "history", "failsafe", "0/leader"} {
		if !isQuiet(key) {
			t.Error(key)
		}
	}
}

func FuzzParseTree(f *testing.F) {
	f.Add("leader", "n1")
	f.Add("members/n2", memberTwo)
	f.Add("config", `{"ttl":30,"pause":"on"}`)
	f.Add("failover", `{"leader":"n1","member":"n2","scheduled_at":"2026-11-10T03:00:00+00:00"}`)
	f.Add("sync", `{"leader":"n1","sync_standby":"n1, n2"}`)
	f.Fuzz(func(t *testing.T, key, value string) {
		tree := parseTree([]pair{{"members/n1", []byte(memberOne)}, {key, []byte(value)}}, nil)
		said := tree.testimony()
		if said.Lease < time.Second || said.Lease > maxTTL || !slices.IsSorted(said.Sync) {
			t.Errorf("%+v", said)
		}
		nodes := make(map[topology.NodeID]bool)
		for name, m := range tree.members {
			if nodes[m.id] {
				t.Errorf("%s has the address of another", name)
			}
			nodes[m.id] = true
		}
		if said.Leader != "" && !nodes[said.Leader] {
			t.Errorf("%s leads and is no member", said.Leader)
		}
	})
}

func FuzzParseConnURL(f *testing.F) {
	for _, seed := range []string{"postgres://10.0.0.1:5432/postgres", "postgres://u:p@[::1]:5433/", "postgres://a", "postgres://a,b/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := parseConnURL(text)
		if err != nil || strings.Contains(once, "%") {
			return // a zone is escaped in a URL
		}
		if twice, err := parseConnURL("postgres://" + once + "/"); err != nil || twice != once {
			t.Fatalf("%q → %q → %q, %v", text, once, twice, err)
		}
	})
}

func TestAgentsAndServersAreReachedWhereTheMapSays(t *testing.T) {
	addresses, err := discovery.ParseAddressMap([]string{"10.0.0.2:5432=127.0.0.1:15432"})
	if err != nil {
		t.Fatal(err)
	}
	tree := parseTree(sample(t, "patroni-3.0.2.json"), addresses)
	if said := tree.testimony(); said.Leader != one || !slices.Equal(said.Sync, []topology.NodeID{"127.0.0.1:15432"}) {
		t.Errorf("%+v", said)
	}
	want := []discovery.AgentAddress{
		{Name: "n1", Server: "10.0.0.1:5432", URL: "http://10.0.0.1:8008/patroni"}, {Name: "n2", Server: "10.0.0.2:5432", URL: "http://10.0.0.2:8008/patroni"},
	}
	if got := tree.addressed(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}
