package dns

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// Name is the source's name.
const Name = "dns"

// Deps is what a Source stands on.
type Deps struct {
	Cluster topology.ClusterID
	Events  event.Sink   // nil: nobody is told
	Logger  *slog.Logger // nil: nothing is logged
}

// Source follows names.
type Source struct {
	deps    Deps
	changed chan struct{} // has a token when Run has not seen the newest settings yet
	mu      struct {
		sync.Mutex
		config Config
		hosts  []Host
	}
}

var _ discovery.Source = (*Source)(nil)

// feed is where the source reports: the Manager.
type feed interface {
	Members(members []topology.Member)
}

// Host is a name and what it leads to.
type Host struct {
	Cluster   topology.ClusterID
	Name      string // host, or host:port
	Addresses []string
	Due       time.Time // when it is asked for again
	Problem   string    // why there is no answer; the addresses are the last ones then
}

// New makes a source. It asks nobody yet; Run does.
func New(cfg Config, deps Deps) (*Source, error) {
	if deps.Events == nil {
		deps.Events = event.Discard{}
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	deps.Logger = deps.Logger.With("cluster", string(deps.Cluster), "source", Name)
	s := &Source{deps: deps, changed: make(chan struct{}, 1)}
	return s, s.Reload(cfg)
}

// Name is "dns".
func (s *Source) Name() string { return Name }

// Reload puts another configuration in force, also while Run runs. A faulty one changes nothing. What is known of names that stay is kept.
func (s *Source) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	s.mu.config = cfg
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

// Hosts returns the names that are followed, sorted.
func (s *Source) Hosts() []Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.hosts // a new list each time, never changed
}

func (s *Source) config() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.config
}

// Run asks and reports until ctx ends.
func (s *Source) Run(ctx context.Context, to *discovery.Feed) error {
	s.run(ctx, to)
	return nil
}

func (s *Source) run(ctx context.Context, to feed) {
	r := newRoster(s.deps, to)
	<-s.changed // by New
	for ctx.Err() == nil {
		r.follow(s.config())
		r.tell()
		r.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		r.follow(r.cfg) // targets of services may be others
		r.tell()
		s.show(r.hosts())
		due, some := r.due()
		if s.rest(ctx, due, some) {
			r.hurry()
		}
	}
}

func (s *Source) show(hosts []Host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.hosts = hosts
}

// rest waits until a name is due, never when none is followed, or until the configuration is another, which it reports.
func (s *Source) rest(ctx context.Context, due time.Time, some bool) (reloaded bool) {
	var over <-chan time.Time
	if some {
		timer := time.NewTimer(time.Until(due))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-s.changed:
		return true
	case <-ctx.Done():
	}
	return false
}
