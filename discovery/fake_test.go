package discovery

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSystem = 7

// fakeProber answers for nodes as the test wants.
type fakeProber struct {
	mu struct {
		sync.Mutex
		nodes map[topology.NodeID]*fakeNode
	}
}

// fakeNode is one node of a fakeProber.
type fakeNode struct {
	news chan struct{} // ends the rest of its session
	mu   struct {
		sync.Mutex
		answer topology.Observation
		hangs  bool
		asked  []time.Time
		open   int
	}
}

func (p *fakeProber) node(id topology.NodeID) *fakeNode {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.nodes == nil {
		p.mu.nodes = make(map[topology.NodeID]*fakeNode)
	}
	if p.mu.nodes[id] == nil {
		n := &fakeNode{news: make(chan struct{}, 1)}
		n.mu.answer.Outcome = topology.OutcomeMissed
		p.mu.nodes[id] = n
	}
	return p.mu.nodes[id]
}

// Open is part of Prober.
func (p *fakeProber) Open(member topology.Member) Session {
	n := p.node(member.ID)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.open++
	return &fakeSession{n}
}

type fakeSession struct{ node *fakeNode }

// Probe is part of Session.
func (s *fakeSession) Probe(ctx context.Context, q Question) topology.Observation {
	n := s.node
	n.mu.Lock()
	n.mu.asked = append(n.mu.asked, time.Now())
	o, hangs := n.mu.answer, n.mu.hangs
	n.mu.Unlock()
	if hangs {
		limited, cancel := context.WithTimeout(ctx, q.Heartbeat)
		defer cancel()
		<-limited.Done()
		return topology.Observation{Outcome: topology.OutcomeMissed, Problem: "hangs"}
	}
	return o
}

// Wait is part of Session.
func (s *fakeSession) Wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.node.news:
	}
}

// Close is part of Session.
func (s *fakeSession) Close() {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	s.node.mu.open--
}

func (n *fakeNode) set(o topology.Observation) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.answer, n.mu.hangs = o, false
}

func (n *fakeNode) primary(timeline uint32, parents ...uint32) {
	o := topology.Observation{Outcome: topology.OutcomeAnswered, Role: topology.RolePrimary, SystemID: testSystem, Timeline: timeline}
	if parents != nil {
		o.History.Timeline = timeline
	}
	for _, parent := range parents {
		o.History.Branches = append(o.History.Branches, topology.Branch{Parent: parent, At: 1})
	}
	n.set(o)
}

func (n *fakeNode) standby(timeline uint32) {
	n.set(topology.Observation{Outcome: topology.OutcomeAnswered, Role: topology.RoleStandby, SystemID: testSystem, Timeline: timeline})
}

func (n *fakeNode) fails(o topology.Outcome) {
	n.set(topology.Observation{Outcome: o, Problem: o.String()})
}

func (n *fakeNode) hang() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.hangs = true
}

// asked returns when the node was asked since the last call.
func (n *fakeNode) asked() []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	asked := n.mu.asked
	n.mu.asked = nil
	return asked
}

// list is a source that tells its members once, and again through change.
type list struct {
	name   string
	told   []topology.Member
	change chan []topology.Member
	fail   chan error
}

func newList(ids ...topology.NodeID) *list {
	return &list{name: "list", told: membersOf(ids...), change: make(chan []topology.Member), fail: make(chan error)}
}

func membersOf(ids ...topology.NodeID) []topology.Member {
	var members []topology.Member
	for _, id := range ids {
		members = append(members, topology.Member{ID: id})
	}
	return members
}

// Name is part of Source.
func (l *list) Name() string { return l.name }

// Run is part of Source.
func (l *list) Run(ctx context.Context, feed *Feed) error {
	feed.Members(l.told)
	for {
		select {
		case members := <-l.change:
			feed.Members(members)
		case err := <-l.fail:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// recorder is an event.Sink that remembers.
type recorder struct {
	mu struct {
		sync.Mutex
		events []event.Event
	}
}

// Emit is part of event.Sink.
func (r *recorder) Emit(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.events = append(r.mu.events, e)
}

func (r *recorder) kinds() []event.Kind {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kinds []event.Kind
	for _, e := range r.mu.events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func (r *recorder) find(t *testing.T, kind event.Kind) event.Event {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.mu.events, func(e event.Event) bool { return e.Kind == kind })
	if i < 0 {
		t.Fatalf("no event %s in %v", kind, r.mu.events)
	}
	return r.mu.events[i]
}

// stage is a Manager that runs on fakes.
type stage struct {
	*Manager
	t      *testing.T
	prober *fakeProber
	list   *list
	events *recorder
	stop   context.CancelFunc
	ended  chan error
}

// play starts a Manager for nodes a and b; spoil may change what it is made of.
func play(t *testing.T, spoil func(*Config, *Deps)) *stage {
	t.Helper()
	s := &stage{t: t, prober: &fakeProber{}, list: newList("a", "b"), events: &recorder{}, ended: make(chan error, 1)}
	cfg := Defaults()
	cfg.Cluster = "main"
	deps := Deps{Sources: []Source{s.list}, Prober: s.prober, Events: s.events}
	if spoil != nil {
		spoil(&cfg, &deps)
	}
	m, err := NewManager(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	s.Manager = m
	return s
}

// run runs the Manager until close.
func (s *stage) run() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.ended <- s.Run(ctx) }()
}

// close stops the Manager and checks that nothing of it is left.
func (s *stage) close() {
	s.t.Helper()
	s.stop()
	if err := <-s.ended; err != nil {
		s.t.Errorf("Run: %v", err)
	}
	for id, n := range s.prober.mu.nodes {
		if n.mu.open != 0 {
			s.t.Errorf("%d sessions to %s are left open", n.mu.open, id)
		}
	}
}

// steady makes a the primary and b its standby, and runs until that is seen.
func (s *stage) steady() {
	s.prober.node("a").primary(1)
	s.prober.node("b").standby(1)
	s.run()
}
