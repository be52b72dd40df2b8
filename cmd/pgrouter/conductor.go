package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgrouter/pgrouter/discovery/patroni"
	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// conductorPool is the pool as conductors see it (failover.Pool): it also knows whose clients are in the way.
type conductorPool struct {
	*pool.Pool
	router *router
}

// Blockers tells whose units of work run on a node.
func (p *conductorPool) Blockers(c topology.ClusterID, n topology.NodeID) []failover.Blocker {
	clients := make(map[uint64]proxy.ClientInfo)
	for _, info := range p.router.proxy.Clients() {
		clients[info.ID] = info
	}
	var all []failover.Blocker
	for _, s := range p.Servers() {
		if s.Key.Cluster != c || s.Key.Route != routing.Primary || s.Node != n || s.Client == 0 || s.Resting {
			continue
		}
		all = append(all, blocker(s, clients[s.Client]))
	}
	return all
}

// blocker tells who has a server. A client that has left since is told by its server's account.
func blocker(s pool.ServerStats, client proxy.ClientInfo) failover.Blocker {
	b := failover.Blocker{Client: s.Client, Database: s.Key.Database, User: s.Key.User, State: s.State, For: s.For}
	if client.ID == 0 {
		return b
	}
	b.Database, b.User, b.Application, b.State = client.Database, client.User, client.ApplicationName, client.State
	if client.Pinned != "" {
		b.State = "pinned (" + client.Pinned + ")"
	}
	return b
}

// agents is Patroni as conductors see it (failover.Agents).
type agents struct{ source *patroni.Source }

// Configured reports whether Patroni can be asked.
func (a *agents) Configured() bool { return a.source.Configured() }

// Switchover asks Patroni to move the primary.
func (a *agents) Switchover(ctx context.Context, from, to topology.NodeID) error {
	return verdict(a.source.Switchover(ctx, from, to))
}

// Failover asks Patroni to make a node the primary.
func (a *agents) Failover(ctx context.Context, to topology.NodeID) error {
	return verdict(a.source.Failover(ctx, to))
}

// verdict says in the conductor's words what has become of an order to Patroni.
func verdict(err error) error {
	order, is := errors.AsType[*patroni.OrderError](err)
	switch {
	case is && order.Refused:
		return fmt.Errorf("%w by Patroni: %w", failover.ErrRefused, err)
	case is && order.Failed:
		return fmt.Errorf("%w at Patroni: %w", failover.ErrFailed, err)
	}
	return err
}
