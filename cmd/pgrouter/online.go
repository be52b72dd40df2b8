package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/discovery/probe"
	"github.com/pgrouter/pgrouter/topology"
)

// onlineLimit bounds how long all nodes together may take to answer.
const onlineLimit = 20 * time.Second

// survey is what check --online finds, as it is told.
type survey struct {
	out      io.Writer
	problems int
}

func (s *survey) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// problem tells what keeps the router from serving, or from seeing a failover through.
func (s *survey) problem(format string, args ...any) {
	s.problems++
	s.say("    problem: "+format, args...)
}

// checkOnline asks every node that the configuration names, and tells what a router would find there.
func checkOnline(ctx context.Context, cfg *config.Config, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, onlineLimit)
	defer cancel()
	s := &survey{out: out}
	for i := range cfg.Clusters {
		s.cluster(ctx, cfg, &cfg.Clusters[i])
	}
	if s.problems > 0 {
		return fmt.Errorf("%d problem(s)", s.problems)
	}
	return nil
}

// cluster tells of one cluster.
func (s *survey) cluster(ctx context.Context, cfg *config.Config, c *config.Cluster) {
	s.say("cluster %s", c.Name)
	if len(c.Nodes) == 0 {
		s.say("  its nodes are found by Patroni or etcd when the router runs; name them in nodes to have them looked at")
		return
	}
	found := make([]probe.Examination, len(c.Nodes))
	var all sync.WaitGroup
	for i, node := range c.Nodes {
		all.Go(func() { found[i] = probe.Examine(ctx, probeConfig(c), node) })
	}
	all.Wait()
	need := connectionsTo(cfg, c)
	for i := range found {
		s.node(c, c.Nodes[i], &found[i])
		if e := &found[i]; e.Outcome == topology.OutcomeAnswered && !e.Pooler && e.Connections > 0 && need > e.Connections {
			s.problem("one database and user alone may take %d connections here, the server has %d: lower pool.size, or set limits.max_node_connections", need, e.Connections)
		}
	}
	s.compare(found)
}

// node tells of one node.
func (s *survey) node(c *config.Cluster, node string, e *probe.Examination) {
	if e.Outcome != topology.OutcomeAnswered {
		s.say("  %s: %s", node, e.Outcome)
		s.problem("%s", e.Problem)
	} else {
		readOnly := ""
		if e.ReadOnly {
			readOnly = ", read-only (default_transaction_read_only)"
		}
		s.say("  %s: %s%s, server_version_num %d, system identifier %d, timeline %d, %d connections for users",
			node, e.Role, readOnly, e.Version, e.SystemID, e.Timeline, e.Connections)
	}
	for _, what := range e.Missing {
		s.problem("%s", what)
	}
	if e.Pooler {
		s.say("    note: a connection pooler does its work, and PostgreSQL is watched on port %d; docs/migration.md says what that means", c.ProbePort)
	}
	if e.Work != "" {
		s.problem("at %s, where it does its work: %s", node, e.Work)
	}
}

// compare looks at the nodes of one cluster together.
func (s *survey) compare(found []probe.Examination) {
	primaries, systems := 0, make(map[uint64]bool)
	for i := range found {
		e := &found[i]
		if e.Outcome != topology.OutcomeAnswered {
			continue
		}
		if e.Role == topology.RolePrimary && !e.ReadOnly {
			primaries++
		}
		if e.SystemID != 0 {
			systems[e.SystemID] = true
		}
	}
	if primaries != 1 {
		s.problem("%d nodes take writes", primaries)
	}
	if len(systems) > 1 {
		s.problem("the nodes are of %d different clusters, by their system identifiers", len(systems))
	}
}

// connectionsTo returns how many connections the clients of one database and user may have to a node, by all listeners together.
func connectionsTo(cfg *config.Config, c *config.Cluster) int {
	n := 0
	for i := range cfg.Listeners {
		if l := &cfg.Listeners[i]; l.Address != "" && l.Cluster == c.Name {
			n += cfg.Pool.Size + cfg.Pool.ReserveSize
		}
	}
	if most := cfg.Limits.MaxNodeServers; most > 0 {
		n = min(n, most)
	}
	return n
}
