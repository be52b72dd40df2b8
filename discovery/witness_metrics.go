package discovery

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrouter/pgrouter/topology"
)

// witnesses are the metrics of what the DCS and the nodes' agents say. A cluster without a DCS has none of them.
type witnesses struct {
	heard, paused, request, key, agent, sync *prometheus.Desc
}

func newWitnesses(desc func(name, help string, labels ...string) *prometheus.Desc) *witnesses {
	return &witnesses{
		heard:   desc("cluster_dcs_up", "1 while the last word of the DCS counts, 0 when it is silent for longer than its lease."),
		paused:  desc("cluster_patroni_paused", "1 while Patroni is paused, by the last word of the DCS."),
		request: desc("cluster_patroni_request", "1 while Patroni was asked for a switchover or failover that is not done."),
		key:     desc("node_leader_key", "1 for the node that holds the leader key, by the last word of the DCS.", "node"),
		agent:   desc("node_agent_state", "1 for what the agent (Patroni) does with the node.", "node", "state"),
		sync:    desc("node_synchronous", "1 for a synchronous standby, by the last word of the DCS.", "node"),
	}
}

func (w *witnesses) describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{w.heard, w.paused, w.request, w.key, w.agent, w.sync} {
		out <- d
	}
}

func (w *witnesses) collect(snap *topology.Snapshot, gauge func(d *prometheus.Desc, value float64, labels ...string)) {
	if snap.DCS == topology.DCSNone {
		return
	}
	gauge(w.heard, number(snap.DCS == topology.DCSHeard))
	gauge(w.paused, number(snap.Paused))
	gauge(w.request, number(snap.Asked.Pending))
	for i := range snap.Nodes {
		n := &snap.Nodes[i]
		id := string(n.ID)
		gauge(w.key, number(n.ID == snap.Leader), id)
		gauge(w.sync, number(n.Sync), id)
		for s := topology.AgentUnknown; s <= topology.AgentStopped; s++ {
			gauge(w.agent, number(n.Agent == s), id, s.String())
		}
	}
}
