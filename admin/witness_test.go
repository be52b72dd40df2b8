package admin

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// withPatroni is a picture of a cluster that Patroni runs.
func withPatroni(s *topology.Snapshot) {
	s.DCS, s.Leader, s.Paused, s.SystemID, s.Timeline = topology.DCSLost, "a:5432", true, 7301215447233000001, 2
	s.Asked = topology.Request{Pending: true, From: "a:5432", To: "b:5432", At: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)}
	s.Nodes[0].Agent = topology.AgentRunning
	b := &s.Nodes[1]
	b.Refused, b.Problem, b.Sync, b.Address = "", "no answer", true, "10.0.0.2:5432"
	b.Tags = topology.Tags{NoLoadBalance: true, ReplicateFrom: "a"}
	b.LagTime, b.LagTimeKnown = 1500*time.Millisecond, true
}

func TestTheJSONHasWhatTheDCSAndPatroniSay(t *testing.T) {
	_, h := newAdmin(t, &scene{primary: "a:5432", change: withPatroni})
	_, body := get(h, "/api/v1/cluster")
	var v View
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	c := v.Clusters[0]
	if c.DCS != "lost" || c.Leader != "a:5432" || !c.Paused || c.Timeline != 2 || c.Asked == nil || c.Asked.To != "b:5432" || c.Asked.At.Hour() != 3 ||
		len(c.Notices) != 2 || c.Notices[0] != "Patroni was asked for a switchover from a:5432 to b:5432 at 2026-11-21 03:00:00 UTC" {
		t.Errorf("%+v", c)
	}
	a, b := c.Nodes[0], c.Nodes[1]
	if !a.Leader || a.Sync || a.Agent != "running" || len(a.Tags) != 0 || b.Leader || !b.Sync || b.Agent != "unknown" || b.Problem != "no answer" ||
		b.Address != "10.0.0.2:5432" || !slices.Equal(b.Tags, []string{"noloadbalance", "replicatefrom=a"}) {
		t.Errorf("%+v\n%+v", a, b)
	}
	for _, text := range []string{`"tags":[]`, `"system_identifier":"7301215447233000001"`} {
		if !strings.Contains(body, text) {
			t.Errorf("no %s in %s", text, body)
		}
	}
}

func TestTheJSONOfAClusterWithoutADCSHasNoPatroni(t *testing.T) {
	_, h := newAdmin(t, &scene{primary: "a:5432"})
	_, body := get(h, "/api/v1/cluster")
	if strings.Contains(body, "patroni_request") || !strings.Contains(body, `"dcs":"none"`) || !strings.Contains(body, `"notices":[]`) {
		t.Error(body)
	}
	if _, page := get(h, "/"); strings.Contains(page, "Patroni") || strings.Contains(page, "DCS") {
		t.Errorf("the page speaks of Patroni:\n%s", page)
	}
}

func TestThePageSaysWhatTheDCSAndPatroniSay(t *testing.T) {
	for dcs, want := range map[topology.DCS]string{
		topology.DCSHeard:   `DCS <span class="good">heard</span>; a:5432 holds the leader key`,
		topology.DCSLost:    `DCS <span class="bad">lost</span>; a:5432 held the leader key`,
		topology.DCSAwaited: `DCS <span class="warn">awaited</span>; a:5432 held the leader key`,
	} {
		_, h := newAdmin(t, &scene{primary: "a:5432", change: func(s *topology.Snapshot) {
			withPatroni(s)
			s.DCS = dcs
		}})
		_, page := get(h, "/")
		for _, text := range []string{want, map[bool]string{true: "Patroni is paused", false: "Patroni was paused when"}[dcs == topology.DCSHeard], "running, leader", "silent, sync, noloadbalance, replicatefrom=a", "no answer"} {
			if !strings.Contains(page, text) {
				t.Errorf("the page does not say %q:\n%s", text, page)
			}
		}
	}
	_, h := newAdmin(t, &scene{change: func(s *topology.Snapshot) { s.DCS = topology.DCSHeard }})
	if _, page := get(h, "/"); !strings.Contains(page, "nobody holds the leader key") {
		t.Errorf("without a leader:\n%s", page)
	}
}

func TestShowHasWhatTheDCSAndPatroniSay(t *testing.T) {
	a, _ := newAdmin(t, &scene{primary: "a:5432", change: withPatroni})
	rows, err := showClusters(t.Context(), a, nil)
	if err != nil || len(rows) != 1 || len(rows[0]) != len(clusterColumns()) {
		t.Fatalf("%v, %v", rows, err)
	}
	if got := strings.Join(rows[0][6:12], "|"); got != "7301215447233000001|2|lost|a:5432|yes|a switchover from a:5432 to b:5432 at 2026-11-21 03:00:00 UTC" {
		t.Errorf("SHOW CLUSTERS: %s", got)
	}
	rows, err = showNodes(t.Context(), a, nil)
	if err != nil || len(rows) != 2 || len(rows[0]) != len(nodeColumns()) {
		t.Fatalf("%v, %v", rows, err)
	}
	if got := strings.Join(rows[1][13:], "|"); got != "0|10.0.0.2:5432|no|yes|unknown|noloadbalance,replicatefrom=a|no answer|1.500" {
		t.Errorf("SHOW NODES: %s", got)
	}
}

// TestShowNodesBeginsAsItDid keeps scripts alive that take columns by their number.
func TestShowNodesBeginsAsItDid(t *testing.T) {
	var names []string
	for _, c := range nodeColumns() {
		names = append(names, c.name)
	}
	want := "cluster node role state timeline lag_bytes since last_seen epoch phase server_version_num reason"
	if got := strings.Join(names, " "); !strings.HasPrefix(got, want) {
		t.Errorf("columns %s", got)
	}
}
