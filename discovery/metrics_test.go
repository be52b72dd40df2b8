package discovery

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgrouter/pgrouter/metrics"
	"github.com/pgrouter/pgrouter/topology"
)

func scrape(t *testing.T, r *metrics.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("%d, %v: %s", w.Code, err, body)
	}
	return string(body)
}

func TestMetricsShowWhatTheDCSAndAgentsSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, func(cfg *Config, _ *Deps) { cfg.DCS = true })
		none := play(t, func(cfg *Config, _ *Deps) { cfg.Cluster = "none" })
		registry, err := metrics.New()
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.Register(s.Collector(), none.Collector()); err != nil {
			t.Fatal(err)
		}
		s.steady()
		defer s.close()
		after(time.Second)
		feed := &Feed{manager: s.Manager, source: "test", done: t.Context().Done()}
		feed.Testify(topology.Testimony{
			At: time.Now(), Lease: 3 * time.Second, Leader: "a", Paused: true, Sync: []topology.NodeID{"b"}, Asked: topology.Request{Pending: true, To: "b"},
		})
		feed.Report(topology.Agent{Node: "b", At: time.Now(), State: topology.AgentStarting})
		synctest.Wait()
		has := func(lines ...string) {
			t.Helper()
			body := scrape(t, registry)
			for _, line := range lines {
				if !strings.Contains(body, "\npgrouter_"+line+"\n") {
					t.Errorf("missing %s", line)
				}
			}
			if strings.Contains(body, `pgrouter_cluster_dcs_up{cluster="none"}`) {
				t.Error("a cluster without a DCS has one")
			}
		}
		has(`cluster_dcs_up{cluster="main"} 1`, `cluster_patroni_paused{cluster="main"} 1`, `cluster_patroni_request{cluster="main"} 1`,
			`node_leader_key{cluster="main",node="a"} 1`, `node_leader_key{cluster="main",node="b"} 0`, `node_synchronous{cluster="main",node="b"} 1`,
			`node_agent_state{cluster="main",node="b",state="starting"} 1`, `node_agent_state{cluster="main",node="a",state="unknown"} 1`)
		after(10 * time.Second)
		has(`cluster_dcs_up{cluster="main"} 0`, `cluster_patroni_request{cluster="main"} 0`, `node_leader_key{cluster="main",node="a"} 1`,
			`node_agent_state{cluster="main",node="b",state="unknown"} 1`)
	})
}

func TestMetricsShowWhatTheSnapshotShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(t, nil)
		other := play(t, func(cfg *Config, _ *Deps) { cfg.Cluster = "other" })
		registry, err := metrics.New()
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.Register(s.Collector(), other.Collector()); err != nil {
			t.Fatal(err)
		}
		s.prober.node("a").set(topology.Observation{Outcome: topology.OutcomeAnswered, Role: topology.RolePrimary, SystemID: 7, Timeline: 3, WriteLSN: 100})
		s.prober.node("b").set(topology.Observation{Outcome: topology.OutcomeAnswered, Role: topology.RoleStandby, SystemID: 7, Timeline: 3, ReplayLSN: 60, ReplayAge: 90 * time.Second})
		s.run()
		defer s.close()
		after(time.Second)
		s.prober.node("c").fails(topology.OutcomeDenied)
		s.list.change <- membersOf("a", "b", "c")
		synctest.Wait()
		body := scrape(t, registry)
		for _, line := range []string{
			`pgrouter_cluster_primary{cluster="main",node="a"} 1`,
			`pgrouter_cluster_primary{cluster="main",node="b"} 0`,
			`pgrouter_cluster_epoch{cluster="main"} 1`,
			`pgrouter_cluster_epoch{cluster="other"} 0`,
			`pgrouter_cluster_timeline{cluster="main"} 3`,
			`pgrouter_cluster_phase{cluster="main",phase="steady"} 1`,
			`pgrouter_cluster_phase{cluster="main",phase="split"} 0`,
			`pgrouter_cluster_phase{cluster="other",phase="unknown"} 1`,
			`pgrouter_cluster_alarm{cluster="main"} 0`,
			`pgrouter_node_up{cluster="main",node="b"} 1`,
			`pgrouter_node_up{cluster="main",node="c"} 0`,
			`pgrouter_node_health{cluster="main",health="suspect",node="c"} 1`,
			`pgrouter_node_refused{cluster="main",node="a"} 0`,
			`pgrouter_node_lag_bytes{cluster="main",node="b"} 40`,
			`pgrouter_node_lag_seconds{cluster="main",node="b"} 90`,
			`pgrouter_node_timeline{cluster="main",node="b"} 3`,
			`pgrouter_probe_failures_total{cluster="main",node="c",reason="denied"} 1`,
			`pgrouter_probe_seconds_count{cluster="main",node="a"} 2`,
			`pgrouter_floor_save_failures_total{cluster="main"} 0`,
		} {
			if !strings.Contains(body, "\n"+line+"\n") {
				t.Errorf("missing %s", line)
			}
		}
		if strings.Contains(body, `pgrouter_node_lag_bytes{cluster="main",node="a"}`) {
			t.Error("the primary has a lag")
		}
		s.list.change <- membersOf("a", "b")
		synctest.Wait()
		if strings.Contains(scrape(t, registry), `node="c"`) {
			t.Error("a node that is gone is still counted")
		}
	})
}
