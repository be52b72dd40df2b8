package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/admin/client"
	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/metrics"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/state"
	"github.com/pgrouter/pgrouter/topology"
)

// router is the whole product, running.
type router struct {
	inForce  inForce
	log      *slog.Logger
	reactor  *reactor.Reactor
	pool     *pool.Pool
	proxy    *proxy.Proxy
	clusters atomic.Pointer[[]*clusterRun]
	registry *metrics.Registry
	events   *eventHub
	admin    *admin.Admin
	peers    *client.Peers
	sockets  []inherited        // that we were started with
	stop     context.CancelFunc // ends the goroutines of the control plane
	wg       sync.WaitGroup
	doors    atomic.Pointer[[]*door]
	endings  chan admin.Ending                       // asked for at the console
	failed   chan error                              // capacity 1: the first goroutine of the control plane that gave up
	life     context.Context                         //nolint:containedctx // of the control plane's goroutines
	read     func() (*config.Config, []config.Fault) // the configuration, anew; nil: there is nothing to read
	level    *slog.LevelVar                          // of the log; nil: nobody changes it

	reloading struct { // or a SET under way
		sync.Mutex
		closed   bool          // the router ends
		standing []*pool.Queue // that the router uses itself
	}
}

// surroundings are what a router is given by whoever starts it, besides its configuration. All of it may be missing.
type surroundings struct {
	watch   func(event.Event)                       // is told what happens
	sockets []inherited                             // listen already
	read    func() (*config.Config, []config.Fault) // the configuration, for a reload
	level   *slog.LevelVar                          // of the log, for a reload
}

// startRouter builds and starts everything, bottom up. What was started before a failure is stopped again.
func startRouter(ctx context.Context, cfg *config.Config, log *slog.Logger, given surroundings) (*router, error) {
	regime, err := newRegime(cfg, nil)
	if err != nil {
		return nil, err
	}
	r := &router{
		log: log, sockets: given.sockets, read: given.read, level: given.level, endings: make(chan admin.Ending, endingsKept), failed: make(chan error, 1),
	}
	r.inForce.Store(regime)
	r.clusters.Store(&[]*clusterRun{})
	r.doors.Store(&[]*door{})
	ctx, r.stop = context.WithCancel(ctx)
	r.life = ctx
	r.events = newEventHub(log)
	if given.watch != nil {
		r.events.sinks = append(r.events.sinks, sinkFunc(given.watch))
	}
	for _, step := range []func(context.Context) error{
		r.startPeers, r.startAdmin, r.startEvents, r.startReactor, r.startPool, r.startClusters, r.startProxy, r.startConductors, r.startListeners,
		r.startStanding, r.startHTTP,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, r.close(context.WithoutCancel(ctx)))
		}
	}
	return r, nil
}

// startEvents lets events reach their readers.
func (r *router) startEvents(ctx context.Context) error {
	r.goRun(ctx, "events", r.events.run)
	return nil
}

// startReactor starts the event loops: one fewer than there are processors, and one more P than loops for the control plane,
// so that a loop that sleeps in epoll_wait keeps its own. More Ps than processors cost: on two processors a second loop that
// had nothing to do made a transaction 8 % dearer at one client (paired rounds of bench).
func (r *router) startReactor(context.Context) (err error) {
	cfg := reactor.Defaults()
	cfg.Loops, cfg.Logger = r.inForce.Load().Limits.Loops, r.log
	if cfg.Loops == 0 {
		cfg.Loops = max(1, runtime.NumCPU()-1)
	}
	if runtime.GOMAXPROCS(0) < cfg.Loops+1 {
		runtime.GOMAXPROCS(cfg.Loops + 1)
	}
	r.reactor, err = reactor.New(cfg)
	return err
}

func (r *router) startPool(context.Context) (err error) {
	r.pool, err = pool.New(pool.Options{
		Reactor: r.reactor, Dialer: &dialer{&r.inForce}, Signals: &troubles{r.trigger}, Events: r.events,
		Logger: r.log, Limits: poolLimits(r.inForce.Load().Config),
	})
	return err
}

// trigger makes the probe of a node run at once whose servers have trouble.
func (r *router) trigger(c topology.ClusterID, n topology.NodeID) {
	if run := r.cluster(c); run != nil {
		run.conductor.Trouble(n)
		run.manager.Trigger(n)
	}
}

func (r *router) cluster(id topology.ClusterID) *clusterRun {
	for _, c := range *r.clusters.Load() {
		if c.manager.Cluster() == id {
			return c
		}
	}
	return nil
}

// snapshot returns the newest picture of a cluster.
func (r *router) snapshot(id topology.ClusterID) *topology.Snapshot {
	if c := r.cluster(id); c != nil {
		return c.manager.Snapshot()
	}
	return nil
}

func (r *router) startProxy(context.Context) (err error) {
	cfg := r.inForce.Load().Config
	r.proxy, err = proxy.New(proxyConfig(cfg), proxy.Deps{
		Reactor: r.reactor, Pool: r.pool, Vectors: &state.Table{}, Snapshot: r.snapshot,
		Authenticator: &r.inForce, Policies: &policies{&r.inForce}, Virtuals: r.consoles(), Events: r.events, Trouble: r.trigger, Logger: r.log,
	})
	return err
}

// counters are what failover reports of a cluster count with.
func (r *router) counters(c topology.ClusterID) failover.Counters {
	t := r.proxy.Totals()
	return failover.Counters{
		Waits: r.pool.WaitsOf(c),
		Units: t.WriteUnits, HoldExpired: t.HoldExpired, Replayed: t.Replayed, Requeued: t.Requeued, Aborted: t.Aborted, InDoubt: t.InDoubt,
		Held: r.pool.Waits(routing.Primary),
	}
}

// goRun runs a goroutine of the control plane; the first that fails ends the router.
func (r *router) goRun(ctx context.Context, what string, run func(context.Context) error) {
	r.wg.Go(func() {
		if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			select {
			case r.failed <- fmt.Errorf("%s: %w", what, err):
			default:
			}
		}
	})
}

// close stops everything, top down. ctx bounds how long clients in the middle of their work may go on.
func (r *router) close(ctx context.Context) error {
	r.reloading.Lock() // a reload under way is finished, and none begins
	r.reloading.closed = true
	r.reloading.Unlock()
	var errs []error
	for _, c := range *r.clusters.Load() { // first: clients may be held by a switchover, and go on at its end
		errs = append(errs, c.conductor.Close(ctx))
	}
	if r.proxy != nil {
		errs = append(errs, r.proxy.Shutdown(ctx))
	}
	if r.admin != nil {
		errs = append(errs, r.admin.Close())
	}
	r.stop()
	r.wg.Wait()
	if r.pool != nil {
		errs = append(errs, r.pool.Close(ctx))
	}
	if r.reactor != nil {
		errs = append(errs, r.reactor.Close())
	}
	return errors.Join(errs...)
}
