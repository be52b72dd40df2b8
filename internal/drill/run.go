package drill

import (
	"context"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// The windows of a load.
const (
	eventWindow = "event"
	afterWindow = "after"
)

// Run rehearses a plan, and marks the test as failed where it did not go by it. The figures come back, and are logged in one line.
func Run(t testing.TB, p Plan) Figures {
	t.Helper()
	p.Load, p.Routers = p.Load.withDefaults(), max(p.Routers, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := stage(ctx, t, p)
	for _, c := range s.crews {
		c.start(ctx)
		c.steady(s, steadyAnswers)
	}
	looking, closeEyes := context.WithCancel(ctx)
	defer func() { closeEyes(); s.direct.looking.Wait() }()
	s.direct.look(looking, s.Cluster.Nodes())
	s.Await("a direct write is acknowledged", s.direct.sees)

	began := s.mark(eventWindow, true)
	s.Log("it begins")
	p.Event(ctx, s)
	s.AwaitWrites(steadyAnswers)
	s.mark(afterWindow, false)
	s.AwaitWrites(steadyAnswers)
	closeEyes()
	s.direct.looking.Wait()
	for _, c := range s.crews {
		c.stop()
	}
	s.Log("it is over")
	return s.judge(ctx, began)
}

// stage sets everything up: what the load needs is on every node, every router knows every node.
func stage(ctx context.Context, t testing.TB, p Plan) *Scene {
	t.Helper()
	s := &Scene{T: t, direct: &eyewitness{}}
	if p.Proxied {
		s.Net = newNetwork(t)
		p.Cluster.EtcdVia, p.Router.Via = s.Net.etcdOf, s.Net.via
	}
	s.plan, s.Cluster = p, clustertest.StartPatroni(t, p.Cluster)
	s.Leader = s.Cluster.Node(0)
	conn, err := s.Leader.Connect(ctx)
	s.Must(err)
	defer farewell(conn)
	s.Must(ledger.Prepare(ctx, conn, subscribers))
	s.Must(s.Leader.Exec(ctx, directTable))
	s.awaitReplay(ctx)
	for range p.Routers {
		r := testrouter.StartPatroni(t, s.Cluster, s.housed(p.Router))
		nodes := float64(len(s.Cluster.Nodes()))
		s.Routers = append(s.Routers, r)
		s.Await("the router knows every node", func() bool { return r.Metrics()["pgrouter_node_up"] == nodes })
		s.crews = append(s.crews, hire(s, r, p.Routers))
	}
	return s
}

// housed gives a router a place of its own where the nodes have theirs.
func (s *Scene) housed(o testrouter.PatroniOptions) testrouter.PatroniOptions {
	s.T.Helper()
	if s.plan.Cluster.Apart {
		place, err := s.Cluster.Guest()
		s.Must(err)
		o.Place = place
	}
	return o
}

// awaitReplay waits until every standby has what the leader has written.
func (s *Scene) awaitReplay(ctx context.Context) {
	s.T.Helper()
	ctx, cancel := limit(ctx)
	defer cancel()
	status, err := s.Leader.Status(ctx)
	s.Must(err)
	for _, n := range s.Standbys() {
		s.Must(n.WaitReplay(ctx, status.WriteLSN))
	}
}

func (s *Scene) mark(name string, event bool) time.Time {
	for _, c := range s.crews {
		c.mark(name, event)
	}
	return time.Now()
}

// leader waits for the node that leads in the end.
func (s *Scene) leader(ctx context.Context) *testcluster.PatroniNode {
	s.T.Helper()
	ctx, cancel := limit(ctx)
	defer cancel()
	n, err := s.Cluster.AwaitLeader(ctx)
	s.Must(err)
	return n
}
