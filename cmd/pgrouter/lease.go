package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/topology"
)

// mindLease warns when clients wait for a node for a shorter time than Patroni needs to replace a primary that has died together with its
// agent: nobody follows before its leader key has run out. Each limit is told once for each ttl.
func (r *router) mindLease(ctx context.Context, c *clusterRun) error {
	changed, cancel := c.manager.Subscribe()
	defer cancel()
	told := make(map[config.HoldTimeout]time.Duration)
	for {
		if s := c.manager.Snapshot(); s != nil {
			r.warnOfLease(s, told)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *router) warnOfLease(s *topology.Snapshot, told map[config.HoldTimeout]time.Duration) {
	for _, h := range r.inForce.Load().HoldTimeouts() {
		if h.Limit >= s.Lease || told[h] == s.Lease {
			continue
		}
		told[h] = s.Lease
		r.log.Warn("hold_timeout is shorter than Patroni's ttl", slog.String("cluster", string(s.Cluster)), slog.String("key", h.Key),
			slog.Duration("hold_timeout", h.Limit), slog.Duration("ttl", s.Lease),
			slog.String("hint", "when the primary dies with its agent nobody follows before ttl is over, and who has waited for hold_timeout gets 57P03"))
	}
}
