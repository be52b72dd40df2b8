package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/relay"
	"github.com/pgrouter/pgrouter/state"
	"github.com/pgrouter/pgrouter/topology"
)

// Authenticator begins the proof of a client's identity, and says whether a user who has given it is one still.
type Authenticator interface {
	Exchange(user string) *auth.Exchange
	Known(user string) bool
}

// Policies says what holds for a client. The error is what the client is told. A client of physical replication is in no database: "".
type Policies interface {
	Policy(l ListenerConfig, user, database string) (Policy, *pgwire.Error)
}

// Login is what a virtual database knows of its client.
type Login struct {
	User      string
	Database  string
	Remote    net.Addr
	Cancelled <-chan struct{} // hands over each cancel request that comes while it is read; the others are dropped
}

// Virtual is a database that the router serves itself: the console. Serve owns the connection until it returns; the login is
// complete up to ReadyForQuery. It must return when ctx ends. Admit is asked after the user has proven who it is.
type Virtual interface {
	Admit(user string) *pgwire.Error
	Parameters() []pgwire.Param
	Serve(ctx context.Context, conn net.Conn, login Login) error
}

// Deps is what a Proxy stands on. All are needed but Virtuals.
type Deps struct {
	Reactor       *reactor.Reactor
	Pool          *pool.Pool
	Vectors       *state.Table
	Snapshot      func(topology.ClusterID) *topology.Snapshot
	Authenticator Authenticator
	Policies      Policies
	Virtuals      map[string]Virtual // by database name
	Events        event.Sink
	Trouble       func(topology.ClusterID, topology.NodeID) // makes the node's probe run at once; must not block. nil: nobody is told
	Logger        *slog.Logger
}

// Proxy serves clients. It is safe for concurrent use.
type Proxy struct {
	deps     Deps
	cfg      atomic.Pointer[Config]
	renewals atomic.Uint64 // how often Renew was called
	vectors  *state.Table
	prepared state.Statements
	log      *slog.Logger
	registry registry
	cancels  cancelTable
	metrics  metrics

	heldBytes atomic.Int64
	logins    atomic.Int64
	nextID    atomic.Uint64
	moved     []atomic.Int64 // by loop: when a client last moved away
	meters    []meter        // by loop
	scratches []scratch      // by loop
	betterOff func(*Session) *reactor.Loop
	draining  atomic.Bool
	verifies  bool

	ctx  context.Context //nolint:containedctx // ends when Close is called; the parent of all goroutines' work
	stop context.CancelFunc
	wg   sync.WaitGroup

	cancelling atomic.Int64 // cancel requests under way
	mu         struct {
		sync.Mutex
		doors    []*Door
		closed   bool
		disabled map[string]struct{} // databases, by the names that clients use
	}
}

// New makes a Proxy that has no listeners yet.
func New(cfg Config, deps Deps) (*Proxy, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Reactor == nil || deps.Pool == nil || deps.Authenticator == nil || deps.Policies == nil || deps.Snapshot == nil {
		return nil, errors.New("proxy: incomplete dependencies")
	}
	p := &Proxy{deps: deps, vectors: deps.Vectors, log: deps.Logger}
	p.cfg.Store(&cfg)
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.moved = make([]atomic.Int64, len(deps.Reactor.Loops()))
	p.scratches = make([]scratch, len(deps.Reactor.Loops()))
	p.meters = make([]meter, len(deps.Reactor.Loops()))
	p.betterOff = p.relief
	if p.deps.Trouble == nil {
		p.deps.Trouble = func(topology.ClusterID, topology.NodeID) {}
	}
	p.verifies = verifying()
	p.mu.disabled = make(map[string]struct{})
	p.registry.init()
	p.cancels.init()
	return p, nil
}

func (p *Proxy) config() *Config { return p.cfg.Load() }

// Reconfigure puts another configuration in force for the clients to come.
func (p *Proxy) Reconfigure(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	p.cfg.Store(&cfg)
	return nil
}

func (p *Proxy) snapshot(c topology.ClusterID) *topology.Snapshot { return p.deps.Snapshot(c) }

// vectorOf reads the tracked parameters out of a server's ParameterStatus messages.
func (p *Proxy) vectorOf(params []pgwire.Param) *state.Vector {
	v := p.vectors.Empty()
	for _, param := range params {
		v = p.vectors.With(v, param.Name, param.Value)
	}
	return v
}

// vectorLeft returns what a server has of its last holder, or of its login.
func (p *Proxy) vectorLeft(server *pool.Server) *state.Vector {
	v := server.Vector
	if v == nil {
		v = p.vectorOf(server.Conn.Params)
	}
	for _, param := range server.Reported {
		v = p.vectors.With(v, param.Name, param.Value)
	}
	server.Reported = nil
	return v
}

// refusal turns the pool's answer into the client's.
func (p *Proxy) refusal(err error) *pgwire.Error {
	if e, ok := errors.AsType[*pgwire.Error](err); ok {
		return e
	}
	if dial, ok := errors.AsType[*backend.DialError](err); ok {
		if said := dial.Server; said != nil {
			fatal := *said
			fatal.Severity, fatal.SeverityUnlocalized = pgwire.SeverityFatal, pgwire.SeverityFatal
			return &fatal
		}
	}
	if errors.Is(err, pool.ErrQueueFull) {
		return pgwire.ErrQueueFull.New("")
	}
	if errors.Is(err, pool.ErrClosed) {
		return pgwire.ErrAdminShutdown.New("")
	}
	return pgwire.ErrServerLogin.New("")
}

// forget takes a session out of everything that knows it. It has neither a server nor a place in the queue any more.
func (p *Proxy) forget(s *Session, why event.CloseReason) {
	s.place.leave()
	p.cancels.remove(s.facts.key)
	p.registry.remove(s.facts.id)
	p.metrics.sessionClosed(why)
	p.log.Debug("client closed", "client", s.facts.id, "user", s.facts.user, "database", s.facts.database,
		"remote", s.facts.remote, "reason", why.String())
}

// cut tells that a session lost its server in the middle of something, and what became of it.
func (p *Proxy) cut(s *Session, why event.CutReason, outcome relay.Outcome) {
	if outcome == relay.Unaffected {
		return
	}
	p.metrics.lost(why, outcome)
	kind := event.SessionCut
	if outcome == relay.Replay {
		kind = event.UnitReplayed
	}
	p.deps.Events.Emit(event.Event{
		Kind: kind, Cluster: string(s.place.cluster), Node: string(s.server.Node()), Reason: why.String(), To: outcome.String(), Count: 1,
	})
}

// violation tells that a server sent what nobody asked for.
func (p *Proxy) violation(pl *place, server *pool.Server) {
	p.metrics.violations.Add(1)
	p.deps.Events.Emit(event.Event{
		Kind: event.ProtocolViolation, Cluster: string(pl.cluster), Node: string(server.Node()), Count: 1,
	})
}
