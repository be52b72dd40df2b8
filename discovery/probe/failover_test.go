package probe

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/discovery/static"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/topology"
)

// diary remembers the events of a Manager.
type diary struct {
	mu struct {
		sync.Mutex
		events []event.Event
		more   chan struct{} // closed by the next event
	}
}

func newDiary() *diary {
	d := &diary{}
	d.mu.more = make(chan struct{})
	return d
}

// Emit is part of event.Sink.
func (d *diary) Emit(e event.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.events = append(d.mu.events, e)
	close(d.mu.more)
	d.mu.more = make(chan struct{})
}

// look says whether there was an event of the kind, and what the next event closes.
func (d *diary) look(kind event.Kind) (bool, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.mu.events, func(e event.Event) bool { return e.Kind == kind }), d.mu.more
}

// told waits for an event of the kind: a Manager publishes a snapshot first, and tells its changes afterwards.
func (e *eye) told(kind event.Kind) {
	e.t.Helper()
	ctx := bounded(e.t)
	for {
		has, more := e.diary.look(kind)
		if has {
			return
		}
		select {
		case <-more:
		case <-ctx.Done():
			e.t.Fatalf("no event %s", kind)
		}
	}
}

// eye is a Manager that looks at a real cluster.
type eye struct {
	*discovery.Manager
	t     *testing.T
	diary *diary
}

// look runs a Manager over the nodes for the rest of the test.
func look(t *testing.T, role string, nodes ...*testcluster.Node) *eye {
	t.Helper()
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, n.Addr())
	}
	source, err := static.New(addresses)
	if err != nil {
		t.Fatal(err)
	}
	prober, err := New(login(t, nodes[0], role))
	if err != nil {
		t.Fatal(err)
	}
	cfg := discovery.Defaults()
	cfg.Cluster, cfg.StateDir = "main", t.TempDir()
	e := &eye{t: t, diary: newDiary()}
	e.Manager, err = discovery.NewManager(cfg, discovery.Deps{Sources: []discovery.Source{source}, Prober: prober, Events: e.diary})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return e
}

// until waits for a snapshot, and checks on the way that nobody else is ever primary.
func (e *eye) until(what string, allowed []*testcluster.Node, is func(*topology.Snapshot) bool) *topology.Snapshot {
	e.t.Helper()
	changed, cancel := e.Subscribe()
	defer cancel()
	ctx := bounded(e.t)
	for {
		s := e.Snapshot()
		if s.Primary != "" && !slices.ContainsFunc(allowed, func(n *testcluster.Node) bool { return id(n) == s.Primary }) {
			e.t.Fatalf("%s: %s is primary: %+v", what, s.Primary, s)
		}
		if is(s) {
			return s
		}
		select {
		case <-changed:
		case <-ctx.Done():
			e.t.Fatalf("%s: not seen; phase %s, primary %q, epoch %d, alarm %q, nodes %+v", what, s.Phase, s.Primary, s.Epoch, s.Alarm, s.Nodes)
		}
	}
}

func id(n *testcluster.Node) topology.NodeID { return topology.NodeID(n.Addr()) }

func led(n *testcluster.Node, epoch topology.Epoch) func(*topology.Snapshot) bool {
	return func(s *topology.Snapshot) bool { return s.Primary == id(n) && s.Epoch == epoch }
}

func in(phase topology.Phase) func(*topology.Snapshot) bool {
	return func(s *topology.Snapshot) bool { return s.Phase == phase }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAKilledPrimaryIsFollowedByThePromotedStandby(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 2})
	one, two, three := c.Node(0), c.Node(1), c.Node(2)
	e := look(t, testcluster.ProbeUser, one, two, three)
	e.until("the first primary", []*testcluster.Node{one}, led(one, 1))
	e.until("the standbys", []*testcluster.Node{one}, func(s *topology.Snapshot) bool {
		return s.Node(id(two)).Usable() && s.Node(id(three)).Usable() && s.Node(id(two)).LagKnown
	})

	one.Kill9()
	e.until("the loss", []*testcluster.Node{one}, in(topology.PhaseLeaderless))
	must(t, two.Promote(bounded(t)))
	s := e.until("the new primary", []*testcluster.Node{two}, led(two, 2))
	if n := s.Node(id(two)); n.Timeline != 2 || n.Incarnation != 2 {
		t.Errorf("the new primary is %+v", n)
	}
	must(t, three.Follow(two))
	e.until("the other standby on the new timeline", []*testcluster.Node{two}, func(s *topology.Snapshot) bool {
		return s.Node(id(three)).Timeline == 2 && s.Node(id(three)).Incarnation == 1 && s.Alarm == ""
	})

	must(t, one.Start(bounded(t)))
	s = e.until("the old primary's return", []*testcluster.Node{two}, func(s *topology.Snapshot) bool { return s.Node(id(one)).Refused != "" })
	if s.Primary != id(two) || !strings.Contains(s.Alarm, "old primary") {
		t.Errorf("beside the old primary: primary %q, alarm %q", s.Primary, s.Alarm)
	}
	e.told(event.NodeRefused)
	must(t, one.Rejoin(bounded(t), two))
	e.until("the old primary as a standby", []*testcluster.Node{two}, func(s *topology.Snapshot) bool {
		return s.Node(id(one)).Usable() && s.Node(id(one)).Role == topology.RoleStandby && s.Alarm == ""
	})
	if !led(two, 2)(e.Snapshot()) {
		t.Errorf("in the end: %+v", e.Snapshot())
	}
}

func TestAFrozenPrimaryIsNotReplacedWithoutProof(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	one, two := c.Node(0), c.Node(1)
	e := look(t, testcluster.ProbeUser, one, two)
	only := []*testcluster.Node{one}
	e.until("the first primary", only, led(one, 1))

	one.Stop()
	defer one.Cont()
	e.until("the doubt", only, in(topology.PhaseDoubtful))
	must(t, two.RestartAsPrimary(bounded(t)))
	e.until("the alarm", only, func(s *topology.Snapshot) bool {
		return s.Primary == "" && s.Node(id(two)).Role == topology.RolePrimary && strings.Contains(s.Alarm, "nothing proves")
	})
	one.Cont()
	e.until("the split", only, func(s *topology.Snapshot) bool { return s.Phase == topology.PhaseSplit && s.Alarm != "" })
	must(t, two.StopFast(bounded(t)))
	e.until("the healing", only, led(one, 1))

	must(t, one.StopFast(bounded(t)))
	must(t, two.Start(bounded(t)))
	e.until("the copy that follows on the same timeline", []*testcluster.Node{one, two}, led(two, 2))
	for _, kind := range []event.Kind{event.PrimaryDoubtful, event.SplitBrain, event.SplitBrainHealed, event.PrimaryConfirmed, event.PrimaryLost, event.PrimaryChanged} {
		e.told(kind)
	}
}

func TestARestartKeepsTheEpochAndAPromotionWithoutHistoryIsHeld(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1, Roles: []testcluster.Role{{Name: "weak"}}})
	one, two := c.Node(0), c.Node(1)
	e := look(t, "weak", one, two)
	s := e.until("the first primary", []*testcluster.Node{one}, led(one, 1))
	before := s.Node(id(one)).Incarnation
	must(t, one.Restart(bounded(t)))
	e.until("the restart", []*testcluster.Node{one}, func(s *topology.Snapshot) bool {
		return led(one, 1)(s) && s.Node(id(one)).Incarnation == before+1
	})

	one.Kill9()
	must(t, two.Promote(bounded(t)))
	e.until("the alarm", []*testcluster.Node{one}, func(s *topology.Snapshot) bool {
		return s.Phase == topology.PhaseLeaderless && s.Primary == "" && strings.Contains(s.Alarm, "ALTER ROLE weak REPLICATION")
	})
	must(t, two.Exec(bounded(t), "ALTER ROLE weak REPLICATION"))
	e.until("the new primary", []*testcluster.Node{two}, led(two, 2))
}
