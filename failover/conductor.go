package failover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// Topology is one cluster's discovery.
type Topology interface {
	Snapshot() *topology.Snapshot
	Subscribe() (changed <-chan struct{}, cancel func())
	SetHeld(held bool)
}

// Pool is what the conductor does with server connections.
type Pool interface {
	Publish(s *topology.Snapshot)
	Hold(c topology.ClusterID, why event.HoldReason)
	Resume(c topology.ClusterID)
	WaitIdle(ctx context.Context, c topology.ClusterID, n topology.NodeID) error
	// WaitQuiet does not wait for sessions that keep a connection and do nothing with it.
	WaitQuiet(ctx context.Context, c topology.ClusterID, n topology.NodeID) error
	// Blockers tells whom WaitQuiet waits for.
	Blockers(c topology.ClusterID, n topology.NodeID) []Blocker
	// Warm begins to open connections to the node that is to be the primary, most at most, and returns how many.
	Warm(c topology.ClusterID, n topology.NodeID, most int) int
	Cut(c topology.ClusterID, n topology.NodeID, why event.CutReason) int
}

// Config is what a cluster's conductor needs.
type Config struct {
	Cluster        topology.ClusterID
	DrainTimeout   time.Duration // how long a switchover waits for running units
	SwitchTimeout  time.Duration // how long it waits for the new primary after the old one was demoted
	HoldMax        time.Duration // how long a request to Patroni, made by somebody else, may hold new units of work; 0: it does not
	DemoteCommand  []string      // stops the old primary, or makes it read-only; PGROUTER_OLD_PRIMARY and PGROUTER_NEW_PRIMARY are set
	PromoteCommand []string      // makes the new primary; empty: pg_promote() as PromoteUser
	PromoteUser    string        // may execute pg_promote()
	PromoteSecret  string        // its password
	PromoteDB      string
}

// Defaults of the limits.
const (
	DefaultDrainTimeout  = 4 * time.Second
	DefaultSwitchTimeout = 30 * time.Second
	DefaultHoldMax       = 5 * time.Second
)

// Validate names what is wrong.
func (c Config) Validate() error {
	var faults []error
	if c.Cluster == "" {
		faults = append(faults, errors.New("failover: cluster has no name"))
	}
	if c.DrainTimeout <= 0 || c.SwitchTimeout <= 0 {
		faults = append(faults, errors.New("failover: drain and switch timeouts must be above 0"))
	}
	if c.HoldMax < 0 || c.HoldMax > MostLease {
		faults = append(faults, fmt.Errorf("failover: hold max %s: it may be 0 to %s", c.HoldMax, MostLease))
	}
	return errors.Join(faults...)
}

// Apply returns what of a new configuration needs a restart. The rest can be given to Conductor.Reload.
func Apply(before, after Config) []string {
	if before.Cluster != after.Cluster {
		return []string{"cluster name"}
	}
	return nil
}

// Deps is what a Conductor stands on. All but Agents and Peers are needed.
type Deps struct {
	Topology Topology
	Pool     Pool
	Agents   Agents          // nil: the cluster has no manager
	Peers    Peers           // nil: there are no other routers
	Counters func() Counters // of all clients, for the reports
	Events   event.Sink
	Logger   *slog.Logger
}

// Conductor leads one cluster through its failovers. It is safe for concurrent use.
type Conductor struct {
	cluster topology.ClusterID
	cfg     atomic.Pointer[Config]
	deps    Deps
	meters  *meters
	heeded  topology.Request        // the request to Patroni that has held; Run's goroutine only
	trouble atomic.Pointer[trouble] // the last that servers of the primary had
	door    struct {
		sync.Mutex                  // held while pool and probes are told, so that the last word is the newest
		why        event.HoldReason // as they were told
	}
	mu struct {
		sync.Mutex
		switching *passage // the switchover under way; nil = none
		holds     []*hold  // in force, the oldest first
		moved     string   // the last switchover whose hold has done its purpose: who orders it may not know yet, and renews
		closed    bool
		open      *Report // of the failover under way
		before    Counters
		calm      Counters // a look or two ago, while nothing was going on
		calmer    Counters // at the last such look
		looked    time.Time
		reports   []Report // newest last, at most reportsKept
	}
}

// reportsKept is how many reports are remembered.
const reportsKept = 64

// New makes a conductor.
func New(cfg Config, deps Deps) (*Conductor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Topology == nil || deps.Pool == nil || deps.Counters == nil {
		return nil, errors.New("failover: incomplete dependencies")
	}
	c := &Conductor{cluster: cfg.Cluster, deps: deps, meters: newMeters(cfg.Cluster)}
	c.cfg.Store(&cfg)
	return c, nil
}

// Reload puts another configuration in force, as far as Apply says that it can be, for the switchovers to come: one under way goes
// on as it began.
func (c *Conductor) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg.Cluster = c.cluster
	c.cfg.Store(&cfg)
	return nil
}

// Cluster returns the name of the cluster.
func (c *Conductor) Cluster() topology.ClusterID { return c.cluster }

// Run carries snapshots to the pool until ctx ends.
func (c *Conductor) Run(ctx context.Context) error {
	changed, cancel := c.deps.Topology.Subscribe()
	defer cancel()
	tick := time.NewTicker(reportTick)
	defer tick.Stop()
	last := c.deps.Topology.Snapshot()
	c.publish(nil, last)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			next := c.deps.Topology.Snapshot()
			c.publish(last, next)
			last = next
		case now := <-tick.C:
			c.attend(last, now)
			c.settleReport(now)
		}
	}
}

// publish carries one snapshot to the pool. When another primary is proven, what still hangs on the old one is cut: its COMMIT
// could only be lost.
func (c *Conductor) publish(prev, next *topology.Snapshot) {
	if next == nil {
		return
	}
	c.report(prev, next)
	c.deps.Pool.Publish(next)
	c.cutFormer(prev, next)
	c.attend(next, time.Now())
}

func (c *Conductor) cutFormer(prev, next *topology.Snapshot) {
	if prev == nil || next.Primary == "" || next.Primary == next.LastPrimary && prev.Epoch == next.Epoch {
		return
	}
	if old := formerPrimary(prev); old != "" && old != next.Primary && next.Epoch > prev.Epoch {
		n := c.deps.Pool.Cut(c.cluster, old, event.CutNodeGone)
		c.noteCut(n)
	}
}

// attend ends the holds whose time or purpose is over, by a snapshot that the pool knows, and begins one for a request to Patroni.
func (c *Conductor) attend(s *topology.Snapshot, now time.Time) {
	c.expire(now)
	if s != nil {
		c.fulfil(s)
		c.heed(s, now)
	}
}

func formerPrimary(s *topology.Snapshot) topology.NodeID {
	if s.Primary != "" {
		return s.Primary
	}
	return s.LastPrimary
}
