package etcd

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

// feed is the part of discovery.Feed that is used here.
type feed interface {
	Members(members []topology.Member)
	Testify(said topology.Testimony)
	Report(agents ...topology.Agent)
}

// Deps is what a Source stands on.
type Deps struct {
	Logger *slog.Logger // nil: nothing is logged
	// Introduce is told where the members' agents are asked, whenever that is another list, and an empty one when the keys of other
	// members are read from now on. nil: nobody asks them.
	Introduce func([]discovery.AgentAddress)
}

// Source reads the keys of one Patroni cluster.
type Source struct {
	log     *slog.Logger
	meet    func([]discovery.AgentAddress)
	changed chan struct{} // has a token when there are settings that Run has not taken yet
	mu      struct {
		sync.Mutex
		config Config
	}
}

// New makes a source; nothing connects before it runs. All faults of the configuration are named at once.
func New(cfg Config, deps Deps) (*Source, error) {
	s := &Source{log: deps.Logger, meet: deps.Introduce, changed: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.meet == nil {
		s.meet = func([]discovery.AgentAddress) {}
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s.mu.config = cfg
	return s, nil
}

// Name is "etcd".
func (s *Source) Name() string { return "etcd" }

// Reload puts other settings in force, also while the source runs: it connects anew. Faulty ones change nothing. Without endpoints it
// rests and knows no members.
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

// config returns the settings in force.
func (s *Source) config() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.config
}

// Run reads and reports until ctx ends (discovery.Source).
func (s *Source) Run(ctx context.Context, to *discovery.Feed) error {
	s.run(ctx, to)
	return nil
}

// run reads and reports until ctx ends. It never gives up.
func (s *Source) run(ctx context.Context, out feed) {
	r := &reader{source: s, feed: out, roll: make(roll)}
	for ctx.Err() == nil {
		cfg := s.config()
		r.turn(&cfg)
		if len(cfg.Endpoints) == 0 {
			r.idle(ctx)
			continue
		}
		if err := r.connected(ctx, cfg); err != nil && ctx.Err() == nil {
			r.fail(err)
			r.pause(ctx)
		}
	}
}

// below returns the part of a key behind the prefix.
func below(prefix string, key []byte) string { return strings.TrimPrefix(string(key), prefix) }
