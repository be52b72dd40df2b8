package admin

import (
	"context"
	"strconv"
	"strings"
)

func clusterColumns() []column {
	return []column{
		{"cluster", typeText, "its name in the configuration"},
		{"phase", typeText, "`steady`, `doubtful`, `leaderless`, `split` or `unknown`"},
		{"primary", typeText, "the node that may take writes"},
		{"last_primary", typeText, "the last node that could"},
		{"since", typeText, "since when the phase and the primary are what they are"},
		{"epoch", typeInt8, "how many primaries it has had"},
		{"system_identifier", typeText, "the one that was accepted"},
		{"timeline", typeInt8, "the highest that was accepted"},
		{"dcs", typeText, "`none`, `awaited` (the router has just begun), `heard` or `lost` (silent for longer than its lease)"},
		{"leader", typeText, "who holds the leader key, by the last word of the DCS"},
		{"patroni_paused", typeText, "yes while Patroni is paused, by the last word of the DCS"},
		{"patroni_request", typeText, "the switchover or failover that Patroni was asked for and has not done"},
		{"alarm", typeText, "what somebody should look at"},
	}
}

func showClusters(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, s := range a.world.Clusters() {
		c := viewCluster(s)
		request := ""
		if c.Asked != nil {
			request = c.Asked.String()
		}
		rows = append(rows, []string{
			c.Name, c.Phase, c.Primary, c.Last, timeText(c.Since), number(c.Epoch), number(c.SystemID), number(uint64(c.Timeline)), c.DCS, c.Leader,
			yesNo(c.Paused), request, c.Alarm,
		})
	}
	return rows, nil
}

// witnessColumns are those of SHOW NODES that tell more than SQL's role and health.
func witnessColumns() []column {
	return []column{
		{"system_identifier", typeText, "the one that it last told"},
		{"address", typeText, "where it is reached: its name leads there"},
		{"leader_key", typeText, "yes when it holds Patroni's leader key, by the last word of the DCS"},
		{"synchronous", typeText, "yes for a synchronous standby, by the last word of the DCS"},
		{"agent", typeText, "what its Patroni does with it: `running`, `starting`, `promoting`, `stopping`, `stopped`; `unknown` when that is silent"},
		{"tags", typeText, "Patroni's tags that say how it may be used, with a comma between them"},
		{"problem", typeText, "why its last question has no answer, or what it did not let the probe see"},
		{"lag_seconds", typeText, "how old the state is that it shows, to the interval of probes; empty when that is not known"},
	}
}

func (n *NodeView) witnessed() []string {
	lag := ""
	if n.LagTime != nil {
		lag = strconv.FormatFloat(*n.LagTime, 'f', 3, 64)
	}
	return []string{number(n.SystemID), n.Address, yesNo(n.Leader), yesNo(n.Sync), n.Agent, strings.Join(n.Tags, ","), n.Problem, lag}
}
