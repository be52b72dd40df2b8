package patroni

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// Name is the source's name, also in its testimonies.
const Name = "patroni"

// Deps is what a Source stands on.
type Deps struct {
	Cluster topology.ClusterID
	Events  event.Sink   // nil: nobody is told
	Logger  *slog.Logger // nil: nothing is logged
}

// Source asks Patroni.
type Source struct {
	deps    Deps
	changed chan struct{} // has a token when Run has not seen the newest settings yet
	mu      struct {
		sync.Mutex
		settings *settings
	}
}

var _ discovery.Source = (*Source)(nil)

// feed is where the source reports: the Manager.
type feed interface {
	Members(members []topology.Member)
	Testify(t topology.Testimony)
	Report(agents ...topology.Agent)
	Trigger(node topology.NodeID)
}

// settings is a configuration with what was made of it. It never changes.
type settings struct {
	Config
	client    *client
	seeds     []string // URLs in one form
	addresses addressMap
}

// New makes a source and reads the files that the configuration names. It asks nobody yet; Run does.
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

// Name is "patroni".
func (s *Source) Name() string { return Name }

// Reload puts another configuration in force and reads its files anew, also while Run runs. A faulty one changes nothing. Members that
// were found stay as long as the URLs are the same.
func (s *Source) Reload(cfg Config) error {
	next, err := newSettings(cfg)
	if err != nil {
		return fmt.Errorf("patroni: %w", err)
	}
	s.mu.Lock()
	s.mu.settings = next
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

func newSettings(cfg Config) (*settings, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	out := &settings{Config: cfg}
	var err error
	if out.addresses, err = parseMap(cfg.AddressMap); err != nil {
		return nil, err
	}
	for _, text := range cfg.URLs {
		base, err := baseURL(text)
		if err != nil {
			return nil, err
		}
		out.seeds = append(out.seeds, base)
	}
	out.client, err = newClient(cfg, out.addresses)
	return out, err
}

func (s *Source) settings() *settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.settings
}

// Run asks and reports until ctx ends.
func (s *Source) Run(ctx context.Context, to *discovery.Feed) error {
	s.run(ctx, to)
	return nil
}

// run has one inquiry for each configuration.
func (s *Source) run(ctx context.Context, to feed) {
	var last *inquiry
	for ctx.Err() == nil {
		q := newInquiry(s.settings(), s.deps, to)
		if last != nil {
			q.resume(last)
		}
		s.during(ctx, q)
		last = q
	}
}

// during asks until the configuration is another, or ctx ends.
func (s *Source) during(ctx context.Context, q *inquiry) {
	life, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		q.run(life)
	}()
	select {
	case <-s.changed:
	case <-ctx.Done():
	}
	cancel()
	<-ended
}
