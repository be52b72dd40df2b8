package patroni

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

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
	changed chan struct{}            // has a token when Run has not seen the newest settings yet
	known   atomic.Pointer[[]member] // who was found last, by the settings in force
	mu      struct {
		sync.Mutex
		settings *settings
		met      []member // whom another source has introduced
	}
}

var _ discovery.Source = (*Source)(nil)

// feed is where the source reports: the Manager.
type feed interface {
	Members(members []topology.Member)
	Testify(t topology.Testimony)
	Report(agents ...topology.Agent)
	Trigger(node topology.NodeID)
	Wanted() <-chan struct{}
}

// settings is a configuration with what was made of it. It never changes.
type settings struct {
	Config
	client    *client
	seeds     []string // URLs in one form
	addresses discovery.AddressMap
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
	s.nudge()
	return nil
}

// Introduce tells of members that another source has found. Where no URLs are configured, each of them is asked for itself, and nobody for
// the cluster. Any goroutine.
func (s *Source) Introduce(agents []discovery.AgentAddress) {
	met := make([]member, 0, len(agents))
	for _, a := range agents {
		if base, err := baseURL(a.URL); err == nil && len(met) < maxMembers {
			met = append(met, member{name: a.Name, base: base, address: a.Server})
		}
	}
	s.mu.Lock()
	known := slices.Equal(met, s.mu.met)
	s.mu.met = met
	s.mu.Unlock()
	if !known {
		s.nudge()
	}
}

// nudge lets Run see that something is another.
func (s *Source) nudge() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func newSettings(cfg Config) (*settings, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	out := &settings{Config: cfg}
	var err error
	if out.addresses, err = discovery.ParseAddressMap(cfg.AddressMap); err != nil {
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

// inForce returns the settings, and who was introduced.
func (s *Source) inForce() (*settings, []member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.settings, s.mu.met
}

// members returns who was found last.
func (s *Source) members() []member {
	if all := s.known.Load(); all != nil {
		return *all
	}
	return nil
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
		current, met := s.inForce()
		q := newInquiry(current, s.deps, to)
		q.known = &s.known
		if last != nil {
			q.resume(last)
			if !slices.Equal(last.seeds, q.seeds) {
				s.known.Store(nil) // an order must not reach another cluster's
			}
		}
		if len(current.seeds) == 0 {
			q.met = met
			s.known.Store(&met)
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
