package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/discovery/dns"
	"github.com/pgrouter/pgrouter/discovery/etcd"
	"github.com/pgrouter/pgrouter/discovery/patroni"
	"github.com/pgrouter/pgrouter/discovery/probe"
	"github.com/pgrouter/pgrouter/discovery/static"
	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/topology"
)

// clusterRun is one cluster's discovery and conductor.
type clusterRun struct {
	cfg       *config.Cluster // in force; for reloads
	nodes     *static.Source
	dns       *dns.Source     // rests without names
	patroni   *patroni.Source // without urls it only asks those whom etcd names of themselves
	etcd      *etcd.Source    // rests without endpoints
	prober    *probe.Prober
	manager   *discovery.Manager
	conductor *failover.Conductor
	life      context.Context    //nolint:containedctx // of both; the parent of their work
	stop      context.CancelFunc // ends it
	running   sync.WaitGroup
}

// startClusters starts the discovery of each cluster.
func (r *router) startClusters(ctx context.Context) error {
	var clusters []*clusterRun
	for i := range r.inForce.Load().Clusters {
		c, err := r.newCluster(&r.inForce.Load().Clusters[i])
		if err != nil {
			return err
		}
		clusters = append(clusters, c)
	}
	r.clusters.Store(&clusters)
	for _, c := range clusters {
		r.discover(ctx, c)
	}
	return nil
}

// newCluster makes a cluster's discovery and conductor and starts nothing.
func (r *router) newCluster(c *config.Cluster) (run *clusterRun, err error) {
	run = &clusterRun{cfg: c}
	if run.nodes, err = static.New(fixedNodes(c.Nodes)); err != nil {
		return nil, fmt.Errorf("cluster.%s.nodes: %w", c.Name, err)
	}
	if run.dns, err = dns.New(dnsConfig(c), dns.Deps{Cluster: topology.ClusterID(c.Name), Events: r.events, Logger: r.log}); err != nil {
		return nil, fmt.Errorf("cluster.%s.dns: %w", c.Name, err)
	}
	if run.patroni, err = patroni.New(patroniConfig(c), patroni.Deps{Cluster: topology.ClusterID(c.Name), Events: r.events, Logger: r.log}); err != nil {
		return nil, fmt.Errorf("cluster.%s.patroni: %w", c.Name, err)
	}
	if run.etcd, err = etcd.New(etcdConfig(c), etcd.Deps{Logger: r.log.With("cluster", c.Name), Introduce: run.patroni.Introduce}); err != nil {
		return nil, fmt.Errorf("cluster.%s.etcd: %w", c.Name, err)
	}
	if run.prober, err = probe.New(probeConfig(c)); err != nil {
		return nil, fmt.Errorf("cluster.%s: %w", c.Name, err)
	}
	run.manager, err = discovery.NewManager(discoveryConfig(c), discovery.Deps{
		Sources: []discovery.Source{run.nodes, run.dns, run.patroni, run.etcd}, Prober: run.prober, Events: r.events, Logger: r.log,
	})
	if err != nil {
		return nil, err
	}
	run.conductor, err = r.newConductor(run)
	return run, err
}

// newConductor makes a cluster's conductor.
func (r *router) newConductor(c *clusterRun) (*failover.Conductor, error) {
	return failover.New(conductorConfig(c.cfg), failover.Deps{
		Topology: c.manager, Pool: &conductorPool{r.pool, r}, Agents: &agents{c.patroni}, Peers: r.peers,
		Counters: func() failover.Counters { return r.counters(c.manager.Cluster()) }, Events: r.events, Logger: r.log,
	})
}

// fixedNodes returns the nodes that are not called by a name. The others are followed.
func fixedNodes(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), dns.IsName)
}

func dnsConfig(c *config.Cluster) dns.Config {
	d := &c.DNS
	return dns.Config{
		Nodes: c.Nodes, Names: d.Names, Server: d.Server, Family: d.Family, Timeout: d.Timeout, MaxTTL: d.MaxTTL, ForgetAfter: d.ForgetAfter,
	}
}

func probeConfig(c *config.Cluster) probe.Config {
	out := probe.Defaults()
	out.User, out.Password, out.Database = c.ProbeUser, c.ProbePassword.Reveal(), c.ProbeDatabase
	out.Port = uint16(c.ProbePort)
	return out
}

func patroniConfig(c *config.Cluster) patroni.Config {
	p := &c.Patroni
	return patroni.Config{
		URLs: p.URLs, Username: p.Username, Password: p.Password.Reveal(), CAFile: p.CAFile, CertFile: p.CertFile, KeyFile: p.KeyFile,
		Interval: p.Interval, Timeout: p.Timeout, AddressMap: c.AddressMap,
	}
}

func etcdConfig(c *config.Cluster) etcd.Config {
	e := &c.Etcd
	return etcd.Config{
		Endpoints: e.Endpoints, Namespace: e.Namespace, Scope: cmp.Or(e.Scope, c.Name), Username: e.Username, Password: e.Password.Reveal(),
		CAFile: e.CAFile, CertFile: e.CertFile, KeyFile: e.KeyFile, Timeout: e.Timeout, AddressMap: c.AddressMap,
	}
}

func discoveryConfig(c *config.Cluster) discovery.Config {
	out := discovery.Defaults()
	out.Cluster, out.ProbeInterval, out.Heartbeat, out.StateDir = topology.ClusterID(c.Name), c.ProbeInterval, c.ProbeTimeout, c.StateDir
	out.DCS = len(c.Patroni.URLs)+len(c.Etcd.Endpoints) > 0
	out.HoldWithoutDCS = c.WhenDCSLost == "hold"
	return out
}

func poolReads(c *config.Cluster) pool.Reads {
	weights := make(map[topology.NodeID]int)
	for node, weight := range c.NodeWeights() {
		weights[topology.NodeID(node)] = weight
	}
	return pool.Reads{Weights: weights, SlowStart: c.SlowStart}
}

func conductorConfig(c *config.Cluster) failover.Config {
	return failover.Config{
		Cluster: topology.ClusterID(c.Name), DrainTimeout: c.DrainTimeout, SwitchTimeout: c.SwitchTimeout, HoldMax: c.HoldMax,
		DemoteCommand: c.DemoteCommand, PromoteCommand: c.PromoteCommand, PromoteUser: c.SwitchoverUser,
		PromoteSecret: c.SwitchoverPassword.Reveal(), PromoteDB: c.ProbeDatabase,
	}
}

// discover lets the discovery run.
func (r *router) discover(ctx context.Context, c *clusterRun) {
	c.life, c.stop = context.WithCancel(ctx)
	r.goCluster(c, "discovery", c.manager.Run)
	r.goCluster(c, "lease", func(ctx context.Context) error { return r.mindLease(ctx, c) })
}

// startConductors lets snapshots reach the pool.
func (r *router) startConductors(context.Context) error {
	for _, c := range *r.clusters.Load() {
		r.conduct(c)
	}
	return nil
}

// conduct lets the snapshots of a cluster whose discovery runs reach the pool.
func (r *router) conduct(c *clusterRun) {
	r.pool.SetReads(c.manager.Cluster(), poolReads(c.cfg))
	r.goCluster(c, "conductor", c.conductor.Run)
}

// goCluster runs a goroutine that belongs to a cluster.
func (r *router) goCluster(c *clusterRun, what string, run func(context.Context) error) {
	c.running.Add(1)
	r.goRun(c.life, what, func(ctx context.Context) error {
		defer c.running.Done()
		return run(ctx)
	})
}

// reload puts another configuration of the cluster in force. What is as it was is left alone: probes would log in anew.
func (c *clusterRun) reload(ctx context.Context, cfg *config.Cluster) error {
	errs := []error{c.conductor.Reload(conductorConfig(cfg))}
	if discoveryConfig(c.cfg) != discoveryConfig(cfg) {
		_, err := c.manager.Reload(ctx, discoveryConfig(cfg))
		errs = append(errs, err)
	}
	if probeConfig(c.cfg) != probeConfig(cfg) {
		errs = append(errs, c.prober.Reload(probeConfig(cfg)))
	}
	if !slices.Equal(c.cfg.Nodes, cfg.Nodes) {
		errs = append(errs, c.nodes.SetNodes(fixedNodes(cfg.Nodes)))
	}
	errs = append(errs, c.dns.Reload(dnsConfig(cfg)))
	// Their files may be others under the same names.
	errs = append(errs, c.patroni.Reload(patroniConfig(cfg)), c.etcd.Reload(etcdConfig(cfg)))
	c.cfg = cfg
	return errors.Join(errs...)
}

// retire ends a cluster that is not served any more. A switchover that has touched its primary is finished first.
func (r *router) retire(ctx context.Context, c *clusterRun) error {
	err := c.conductor.Close(ctx)
	c.stop()
	c.running.Wait()
	r.pool.Withdraw(c.manager.Cluster())
	r.registry.Unregister(c.manager.Collector())
	r.registry.Unregister(c.conductor.Collector())
	return err
}
