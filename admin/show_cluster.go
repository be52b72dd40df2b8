package admin

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/pgrouter/pgrouter/event"
)

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 MST")
}

func nodeColumns() []column {
	return append([]column{
		{"cluster", typeText, "its name in the configuration"},
		{"node", typeText, "its address there"},
		{"role", typeText, "what it last said to be: `primary` or `standby`"},
		{"state", typeText, "`up`, `suspect` (missed its heartbeat, or lets nobody in), `down` or `unknown`"},
		{"timeline", typeInt8, "the timeline that it last told"},
		{"lag_bytes", typeInt8, "how far a standby is behind; NULL while that is not known"},
		{"since", typeText, "since when its state is what it is"},
		{"last_seen", typeText, "when it last answered"},
		{"epoch", typeInt8, "how many primaries the cluster has had"},
		{"phase", typeText, "of the cluster: `steady`, `doubtful`, `leaderless`, `split` or `unknown`"},
		{"server_version_num", typeInt4, "its version"},
		{"reason", typeText, "why it may not be used, or why its commits hang, if so"},
		{"syncrep_waiting", typeInt4, "how many of its commits wait for a synchronous standby"},
	}, witnessColumns()...)
}

func showNodes(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for _, s := range a.world.Clusters() {
		c := viewCluster(s)
		for i := range c.Nodes {
			n, lag := &c.Nodes[i], ""
			if n.LagBytes != nil {
				lag = number(*n.LagBytes)
			}
			rows = append(rows, append([]string{
				c.Name, n.Node, n.Role, n.Health, number(uint64(n.Timeline)), lag, timeText(n.Since), timeText(n.SeenAt),
				number(c.Epoch), c.Phase, strconv.Itoa(n.Version), cmp.Or(n.Refused, n.Stalled),
				strconv.Itoa(n.Waiting),
			}, n.witnessed()...))
		}
	}
	return rows, nil
}

func eventColumns() []column {
	return []column{
		{"time", typeText, "when, UTC"},
		{"event", typeText, "what; `pgrouter_events_total` counts them"},
		{"cluster", typeText, "where"},
		{"node", typeText, "which node"},
		{"from", typeText, "what was before"},
		{"to", typeText, "what is now"},
		{"reason", typeText, "why"},
		{"database", typeText, "which database it is about, if it is about one"},
	}
}

func showEvents(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	events := a.journal.Last()
	slices.SortStableFunc(events, func(x, y event.Event) int { return x.Time.Compare(y.Time) })
	for _, e := range events {
		rows = append(rows, []string{e.Time.UTC().Format("2006-01-02 15:04:05.000"), string(e.Kind), e.Cluster, e.Node, e.From, e.To, e.Reason, e.Database})
	}
	return rows, nil
}
