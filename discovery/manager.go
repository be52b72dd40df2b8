package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// Deps is what a Manager stands on. Prober and at least one source are needed.
type Deps struct {
	Sources []Source
	Prober  Prober
	Events  event.Sink   // nil: nobody is told
	Logger  *slog.Logger // nil: nothing is logged
}

func (d Deps) validate() error {
	if d.Prober == nil || len(d.Sources) == 0 {
		return errors.New("discovery needs a prober and a source of nodes")
	}
	names := make(map[string]bool)
	for _, source := range d.Sources {
		if names[source.Name()] {
			return fmt.Errorf("two sources of nodes have the name %q", source.Name())
		}
		names[source.Name()] = true
	}
	return nil
}

// Manager is one cluster's discovery. Its methods may be called from any goroutine, before, while and after Run.
type Manager struct {
	cluster topology.ClusterID
	deps    Deps
	store   *floorStore
	metrics *meters

	config   atomic.Pointer[Config]
	held     atomic.Bool
	snapshot atomic.Pointer[topology.Snapshot]
	inbox    chan message
	wanted   map[string]chan struct{} // by source; see Feed.Wanted
	started  atomic.Bool
	ended    chan struct{} // closed when nobody reads the inbox any more

	// Owned by Run's goroutine.
	state    topology.State
	known    map[string][]topology.Member // by source
	watching sync.WaitGroup

	mu struct {
		sync.Mutex
		watchers    map[topology.NodeID]*watcher
		subscribers map[chan struct{}]struct{}
	}
}

// message is what reaches Run's goroutine.
type message struct {
	source    string // who announces
	members   []topology.Member
	announces bool
	seen      []topology.Observation
	said      []topology.Testimony
	agents    []topology.Agent
	from      *watcher    // whose observation it is; nil for a source's
	accept    *acceptance // an operator's accept-cluster
	reload    bool        // the configuration is another
}

// inboxSize lets the probes of a large cluster report without waiting for each other.
const inboxSize = 64

// ErrNotRunning answers requests to a Manager whose Run has not begun or has ended.
var ErrNotRunning = errors.New("discovery is not running")

// NewManager makes the discovery of one cluster and reads its floor. It starts nothing; Run does.
func NewManager(cfg Config, deps Deps) (*Manager, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cfg.Cluster, err)
	}
	if err := deps.validate(); err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cfg.Cluster, err)
	}
	if deps.Events == nil {
		deps.Events = event.Discard{}
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	deps.Logger = deps.Logger.With("cluster", string(cfg.Cluster))
	m := &Manager{
		cluster: cfg.Cluster,
		deps:    deps,
		store:   newFloorStore(cfg),
		metrics: newMeters(cfg.Cluster),
		inbox:   make(chan message, inboxSize),
		ended:   make(chan struct{}),
		known:   make(map[string][]topology.Member),
		wanted:  make(map[string]chan struct{}),
	}
	for _, source := range deps.Sources {
		m.wanted[source.Name()] = make(chan struct{}, 1)
	}
	floor, err := m.store.load()
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cfg.Cluster, err)
	}
	m.config.Store(&cfg)
	m.mu.watchers = make(map[topology.NodeID]*watcher)
	m.mu.subscribers = make(map[chan struct{}]struct{})
	m.state = topology.NewState(cfg.Cluster, nil, floor, cfg.limits(), time.Now())
	m.snapshot.Store(m.state.Snapshot())
	return m, nil
}

// Cluster returns the name of the cluster.
func (m *Manager) Cluster() topology.ClusterID { return m.cluster }

// Snapshot returns the newest picture: never nil, and never changed after it was published (I7).
func (m *Manager) Snapshot() *topology.Snapshot { return m.snapshot.Load() }

// Subscribe returns a channel that gets a token after each publication: several publications that were not looked at are
// one token, and the snapshot is then the newest. cancel ends the subscription; the channel is never closed.
func (m *Manager) Subscribe() (changed <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.subscribers[c] = struct{}{}
	return c, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.mu.subscribers, c)
	}
}

// Trigger makes the node's probe run at once; all probes when node is "" or not known. It never waits, and calls within
// Config.MinInterval are one.
func (m *Manager) Trigger(node topology.NodeID) {
	m.mu.Lock()
	var wake []*watcher
	if w := m.mu.watchers[node]; w != nil {
		wake = append(wake, w)
	} else {
		wake = slices.Collect(maps.Values(m.mu.watchers))
	}
	m.mu.Unlock()
	for _, w := range wake {
		w.wake()
	}
}

// SetHeld tells whether units of work are held for this cluster: while they are, and while there is no primary, all probes
// run at Config.HeldInterval; the probe of a node that answers, and that the DCS names before it is the primary, at Config.MinInterval.
func (m *Manager) SetHeld(held bool) {
	if m.held.Swap(held) != held && held {
		m.Trigger("")
	}
}

// Reload puts another configuration in force, as far as Apply says that it can be; the rest stays as it was. It returns what
// needs a restart.
func (m *Manager) Reload(ctx context.Context, cfg Config) ([]string, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cluster %s: %w", m.cluster, err)
	}
	old := m.config.Load()
	restart := Apply(*old, cfg)
	cfg.Cluster, cfg.StateDir = old.Cluster, old.StateDir
	m.config.Store(&cfg)
	if m.started.Load() {
		m.send(ctx.Done(), message{reload: true})
		m.Trigger("")
	}
	return restart, nil
}

// send hands a message to Run's goroutine, or drops it when done is closed or Run ends first.
func (m *Manager) send(done <-chan struct{}, msg message) {
	select {
	case m.inbox <- msg:
	case <-done:
	case <-m.ended:
	}
}

// pace returns the interval of the probes of a node at this moment. Everybody waits for the one that is just being promoted.
func (m *Manager) pace(node topology.NodeID) time.Duration {
	cfg, snap := m.config.Load(), m.snapshot.Load()
	n := snap.Node(node)
	switch {
	case snap.Primary == "" && snap.Leader == node && n != nil && n.Usable():
		return min(cfg.MinInterval, cfg.ProbeInterval)
	case m.held.Load() || snap.Primary == "":
		return min(cfg.HeldInterval, cfg.ProbeInterval)
	}
	return cfg.ProbeInterval
}

// question returns how nodes are to be asked at this moment.
func (m *Manager) question() Question {
	snap := m.snapshot.Load()
	return Question{
		Heartbeat: m.config.Load().Heartbeat,
		Awaited:   m.held.Load() || (snap.Primary == "" && snap.LastPrimary != ""),
	}
}
