package admin

import (
	"context"
	"net/url"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrouter/pgrouter/metrics"
)

func peerColumns() []column {
	return []column{
		{"peer_id", typeInt4, "its place in `[admin] peers`"},
		{"host", typeText, "where its HTTP server is"},
		{"port", typeInt4, "likewise"},
		{"pool_size", typeInt4, "always 0: peers are not connected with"},
		{"state", typeText, "`up`, `down`, or `unknown` before it was asked"},
		{"since", typeText, "since when"},
		{"reason", typeText, "why its orders do not arrive, if so"},
	}
}

func showPeers(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	var rows [][]string
	for i, p := range a.world.Peers() {
		host, port := hostAndPort(p.Peer)
		rows = append(rows, []string{strconv.Itoa(i + 1), host, port, "0", p.state(), timeText(p.Since), p.Error})
	}
	return rows, nil
}

// state is what is known of a peer.
func (p *PeerView) state() string {
	switch {
	case p.At.IsZero():
		return "unknown"
	case p.Up:
		return "up"
	}
	return "down"
}

// hostAndPort takes a peer's URL apart.
func hostAndPort(address string) (host, port string) {
	u, err := url.Parse(address)
	if err != nil {
		return address, ""
	}
	return u.Hostname(), u.Port()
}

// peerCollector tells which peers answer.
type peerCollector struct {
	admin *Admin
	up    *prometheus.Desc
}

// PeerCollector returns the metrics of the other routers, to be registered once.
func (a *Admin) PeerCollector() prometheus.Collector {
	return &peerCollector{admin: a, up: metrics.Desc("peer_up", "1 when a peer took the last order that it was asked for, 0 when it did not answer or refused it.", "peer")}
}

// Describe implements prometheus.Collector.
func (c *peerCollector) Describe(out chan<- *prometheus.Desc) { out <- c.up }

// Collect implements prometheus.Collector.
func (c *peerCollector) Collect(out chan<- prometheus.Metric) {
	for _, p := range c.admin.world.Peers() {
		if p.At.IsZero() {
			continue
		}
		up := 0.0
		if p.Up {
			up = 1
		}
		//nolint:forbidigo // a constant metric of the description above
		out <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up, p.Peer)
	}
}
