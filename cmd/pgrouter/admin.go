package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/discovery/dns"
	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/metrics"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// consoleNames are the databases under which the console is found: our own, and the one that PgBouncer's users type.
// Constant table.
var consoleNames = [...]string{"pgrouter", "pgbouncer"}

// startAdmin makes the console and what it stands on, before there are clients.
func (r *router) startAdmin(context.Context) (err error) {
	journal := admin.NewJournal(r.log)
	r.events.sinks = append(r.events.sinks, journal)
	r.admin, err = admin.New(r.adminConfig(r.inForce.Load().Config), &outlook{r}, &orders{r}, journal, r.log)
	if err != nil {
		return err
	}
	if r.registry, err = metrics.New(); err != nil {
		return err
	}
	return r.registry.Register(journal)
}

func (r *router) adminConfig(cfg *config.Config) admin.Config {
	return admin.Config{
		Version: version, Users: cfg.Admin.Users, StatsUsers: cfg.Admin.StatsUsers, Allow: cfg.Admin.Allow, Names: consoleNames[:],
		PoolMode: r.poolMode, ProbeInterval: probeIntervals(cfg),
	}
}

// poolMode is the configured mode of a pool, by a database's name for clients and a user's on the servers.
func (r *router) poolMode(database, user string) string {
	now := r.inForce.Load()
	return now.PoolFor(database, now.clientUser(database, user)).Mode
}

// probeIntervals tells how often each cluster is looked at.
func probeIntervals(cfg *config.Config) map[string]time.Duration {
	all := make(map[string]time.Duration)
	for _, c := range cfg.Clusters {
		all[c.Name] = c.ProbeInterval
	}
	return all
}

// consoles returns the virtual databases.
func (r *router) consoles() map[string]proxy.Virtual {
	virtuals := make(map[string]proxy.Virtual)
	for _, name := range consoleNames {
		virtuals[name] = r.admin.Console()
	}
	return virtuals
}

// startHTTP serves metrics, JSON and the page, when everything that they show exists.
func (r *router) startHTTP(ctx context.Context) error {
	r.goRun(ctx, "averages", r.admin.Average)
	r.goRun(ctx, "peers", r.peers.Watch)
	if err := r.registry.Register(r.pool.Collector(), r.proxy.Collector(), r.admin.Collector(), r.admin.PeerCollector()); err != nil {
		return err
	}
	for _, c := range *r.clusters.Load() {
		if err := r.registry.Register(c.manager.Collector(), c.conductor.Collector()); err != nil {
			return err
		}
	}
	address := r.inForce.Load().Admin.HTTP
	if address == "" {
		return nil
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("admin.http: %w", err)
	}
	r.admin.Serve(ln, r.registry)
	r.log.Info("listening", "address", ln.Addr().String(), "route", "http")
	return nil
}

// outlook is what admin sees of the router (admin.World).
type outlook struct{ router *router }

// Clusters returns the newest picture of each cluster.
func (o *outlook) Clusters() []*topology.Snapshot {
	var all []*topology.Snapshot
	for _, c := range *o.router.clusters.Load() {
		all = append(all, c.manager.Snapshot())
	}
	return all
}

// Queues returns the pool's queues.
func (o *outlook) Queues() []pool.QueueStats { return o.router.pool.Stats() }

// Clients returns the client connections.
func (o *outlook) Clients() []proxy.ClientInfo { return o.router.proxy.Clients() }

// Servers returns the pool's server connections.
func (o *outlook) Servers() []pool.ServerStats { return o.router.pool.Servers() }

// Traffic returns what has gone on in each database.
func (o *outlook) Traffic() []proxy.DatabaseTraffic { return o.router.proxy.Traffic() }

// Totals returns the counters of all clients.
func (o *outlook) Totals() proxy.Totals { return o.router.proxy.Totals() }

// Failovers returns the last reports of all clusters, oldest first.
func (o *outlook) Failovers() []failover.Report {
	var all []failover.Report
	for _, c := range *o.router.clusters.Load() {
		all = append(all, c.conductor.Reports()...)
	}
	slices.SortStableFunc(all, func(a, b failover.Report) int { return a.FirstSignal.Compare(b.FirstSignal) })
	return all
}

// Doors returns the open listeners.
func (o *outlook) Doors() []admin.Door {
	var all []admin.Door
	for _, d := range o.router.listeners() {
		all = append(all, admin.Door{Address: d.Address, Cluster: string(d.Cluster), Route: d.Route.String()})
	}
	return all
}

// Hosts returns the names that are followed.
func (o *outlook) Hosts() []dns.Host {
	var all []dns.Host
	for _, c := range *o.router.clusters.Load() {
		all = append(all, c.dns.Hosts()...)
	}
	return all
}

// Database reports whether a database is known by the name that clients use, and whether it is paused.
func (o *outlook) Database(name string) (known, paused bool) {
	cfg := o.router.inForce.Load().Config
	known = name == "" ||
		slices.ContainsFunc(cfg.Databases, func(d config.Database) bool { return d.Name == name }) ||
		slices.ContainsFunc(o.router.pool.Stats(), func(q pool.QueueStats) bool { return q.Key.Database == name })
	return known, o.router.pool.Paused(name)
}

// Holders tells which clients of a database, "" = of all, have a server connection now.
func (o *outlook) Holders(ctx context.Context, database string) []proxy.Holder {
	return o.router.proxy.Holders(ctx, meant(database))
}

// Serves reports whether a route has a node now, under the rules of its listener.
func (o *outlook) Serves(cluster, route string) (bool, string) {
	want, err := routing.ParseRoute(route)
	if err != nil {
		return false, err.Error()
	}
	var rules routing.Rules
	for _, d := range o.router.listeners() {
		if string(d.Cluster) == cluster && d.Route == want {
			rules = d.Rules
		}
	}
	decision := o.router.pool.Decide(topology.ClusterID(cluster), want, rules)
	if len(decision.Nodes) > 0 {
		return true, ""
	}
	return false, decision.Hold.String()
}
