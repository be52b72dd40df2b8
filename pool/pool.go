package pool

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// verifyVariable turns on, when it is 1, the check of all invariants after each operation. It is slow.
const verifyVariable = "PGROUTER_VERIFY"

// Signals wakes discovery. NodeTrouble must not block; it is called from event loops.
type Signals interface {
	NodeTrouble(c topology.ClusterID, n topology.NodeID, err error)
}

// Options are what a Pool stands on. Reactor and Dialer are needed; the others may be left out.
type Options struct {
	Reactor *reactor.Reactor
	Dialer  Dialer
	Signals Signals          // nil: nobody is told
	Events  event.Sink       // nil: event.Discard
	Logger  *slog.Logger     // nil: nothing is logged
	Clock   func() time.Time // the time of day in events and Stats; nil: time.Now
	Sweep   time.Duration    // how often it looks for connections and queues whose time is over; 0: each second
	Limits  Limits           // of server connections of all queues together
	Verify  bool             // check all invariants after each operation; also by PGROUTER_VERIFY=1
}

// Pool is all queues. It is safe for concurrent use.
type Pool struct {
	wires     wires
	dialer    Dialer
	signals   Signals
	events    event.Sink
	log       *slog.Logger
	wallClock func() time.Time
	verify    bool
	goodBye   []byte // Terminate

	paused  atomic.Pointer[pauses]
	drained drained
	limits  limits
	born    atomic.Uint64 // server connections so far
	faults  atomic.Uint64 // see mustNot; must stay 0

	ctx  context.Context //nolint:containedctx // ends with Close; parent of all dials
	stop context.CancelFunc
	wg   sync.WaitGroup // sweeps and dials

	// mu is never held together with a queue's.
	mu struct {
		sync.Mutex
		closed   bool
		queues   []*Queue // appended to or replaced: a copy of the slice stays right
		known    map[identity]*Queue
		ledger   ledger
		clusters map[topology.ClusterID]*cluster
		gates    map[nodeOf]*gate
	}
}

type nodeOf struct {
	cluster topology.ClusterID
	node    topology.NodeID
}

type noSignals struct{}

func (noSignals) NodeTrouble(topology.ClusterID, topology.NodeID, error) {}

// New makes a Pool without queues. Close ends it.
func New(o Options) (*Pool, error) {
	if o.Reactor == nil || o.Dialer == nil {
		return nil, errors.New("pool: a reactor and a dialer are needed")
	}
	p := newPool(o)
	p.wires = reactorWires{pool: p, reactor: o.Reactor}
	p.wg.Add(1)
	go p.runSweeps(cmp.Or(o.Sweep, sweepInterval))
	return p, nil
}

// newPool makes one that has no wires yet and does not sweep.
func newPool(o Options) *Pool {
	p := &Pool{
		dialer: o.Dialer, signals: o.Signals, events: o.Events, log: o.Logger, wallClock: o.Clock,
		verify: o.Verify || os.Getenv(verifyVariable) == "1", goodBye: pgwire.AppendTerminate(nil),
	}
	if p.signals == nil {
		p.signals = noSignals{}
	}
	if p.events == nil {
		p.events = event.Discard{}
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.wallClock == nil {
		p.wallClock = time.Now
	}
	p.paused.Store(new(pauses))
	p.limits.init()
	p.limits.set(o.Limits)
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.mu.known = make(map[identity]*Queue)
	p.mu.ledger = make(ledger)
	p.mu.clusters = make(map[topology.ClusterID]*cluster)
	p.mu.gates = make(map[nodeOf]*gate)
	return p
}

// Queue finds or makes the queue of a key and rules, as far as they have an effect on its route, for a user who keeps it until he calls
// Leave. A configuration that differs from the queue's is put in force: the last caller wins. After Close the queue answers ErrClosed. Any
// goroutine.
func (p *Pool) Queue(k Key, rules routing.Rules, cfg Config) *Queue {
	q, known := p.queue(k, rules, cfg)
	if known {
		q.reconfigure(cfg)
	} else {
		q.refresh()
	}
	return q
}

func (p *Pool) queue(k Key, rules routing.Rules, cfg Config) (q *Queue, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := identity{key: k, rules: rules.On(k.Route)}
	if q, known = p.mu.known[id]; !known {
		q = p.newQueueLocked(id, cfg)
	}
	q.users.Add(1)
	q.uses++
	return q, known
}

func (p *Pool) newQueueLocked(id identity, cfg Config) *Queue {
	q := &Queue{pool: p, key: id.key, rules: id.rules, cluster: p.clusterLocked(id.key.Cluster)}
	q.database, q.user = p.limits.open(id.key)
	p.limits.configure(q.database, q.user, &cfg)
	q.mu.cfg, q.mu.reset = cfg, pgwire.AppendQuery(nil, cfg.ResetQuery)
	q.mu.closed, q.mu.view = p.mu.closed, q.cluster.view.Load()
	q.mu.held = p.wires.clock()
	p.mu.known[id] = q
	p.mu.queues = append(p.mu.queues, q)
	p.mu.ledger.open(labelsOf(id.key))
	return q
}

// SetLimits puts other limits in force. Connections beyond a lower one are not closed: none is opened until there are fewer. Any
// goroutine.
func (p *Pool) SetLimits(l Limits) {
	p.limits.set(l)
	p.feed()
}

func (p *Pool) clusterLocked(id topology.ClusterID) *cluster {
	c := p.mu.clusters[id]
	if c == nil {
		c = &cluster{}
		c.view.Store(&clusterView{replaced: make(chan struct{})})
		p.mu.clusters[id] = c
	}
	return c
}

func (p *Pool) gateOf(c topology.ClusterID, n topology.NodeID) *gate {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := nodeOf{c, n}
	g := p.mu.gates[id]
	if g == nil {
		g = &gate{}
		p.mu.gates[id] = g
	}
	return g
}

func (p *Pool) allQueues() []*Queue {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.queues
}

func (p *Pool) queuesOf(c topology.ClusterID) []*Queue { return ofCluster(p.allQueues(), c) }

// Close refuses all waiters and hands out nothing any more, closes idle connections and waits for the others to be released.
// When ctx ends first it calls Cut for those that are left and returns a *BusyError. The reactor must still run; no goroutine
// of the pool's is left when Close returns. Any goroutine that may block.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	p.mu.closed = true
	queues := p.mu.queues
	p.mu.Unlock()
	p.stop()
	for _, q := range queues {
		q.close()
	}
	p.wg.Wait()
	err := p.drained.wait(ctx, "", func() int {
		left := 0
		for _, q := range queues {
			left += q.liveServers()
		}
		return left
	})
	if err != nil {
		for _, q := range queues {
			q.cutNode("", event.CutShutdown)
		}
	}
	return err
}

func (q *Queue) close() {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	q.mu.closed = true
	q.viewLocked(now, &t)
	for _, sh := range q.mu.shelves {
		sh.eachLocked(func(s *Server) { q.retireLocked(s, closedShutdown, &t) })
	}
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
}

// mustNot reports what only a fault in this program can cause: it is counted and logged, and while invariants are checked it
// is a panic. No lock is held.
func (p *Pool) mustNot(what string) {
	p.faults.Add(1)
	p.log.Error("pool fault", "what", what)
	if p.verify {
		panic("pool: " + what)
	}
}

// violated tells that a server sent what nobody asked for.
func (p *Pool) violated(s *Server) {
	p.events.Emit(event.Event{
		Time: p.wallClock(), Kind: event.ProtocolViolation, Cluster: string(s.queue.key.Cluster), Node: string(s.Node()), Count: 1,
	})
}
