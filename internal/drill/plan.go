package drill

import (
	"context"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// Plan says what is rehearsed.
type Plan struct {
	Name    string // in the figures
	Cluster testcluster.PatroniOptions
	Router  testrouter.PatroniOptions
	Routers int // in front of the cluster; 1 when 0. The clients are shared out among them
	Load    Size
	// Proxied puts the network between the routers and the nodes, and between the nodes and etcd, into the event's hands (Scene.Net). The
	// routers must hear of the nodes from Patroni.
	Proxied bool
	Event   Event // what happens
	// Planned is for what the routers are told of beforehand: they have to hold in time, and errors are in order for units of work alone that
	// had begun before they did.
	Planned bool
	// May says which errors clients may see, and how many of each at most. All others are faults of the router.
	May map[ledger.Fault]int64
}

// Size is how much load there is.
type Size struct {
	Writers int     // clients that write in autocommit; 8 when 0
	Callers int     // clients that write in transactions; 8 when 0
	Readers int     // clients that read on the replicas' port; 40 when 0
	Rate    float64 // operations per second of each writer; 50 when 0. A reader does a tenth
}

const (
	usualWriters = 8
	usualCallers = 8
	usualReaders = 40
	usualRate    = 50
	readersShare = 10

	subscribers   = 200
	patience      = 90 * time.Second // of a client for one statement: longer than any hold
	recoverLimit  = 3 * time.Minute  // for what has to happen in the end, on a loaded machine
	steadyAnswers = 50               // of each load, before something happens and after it
)

// InFlight are the errors of units of work that were under way at a primary that is gone, each once for each client.
func InFlight(size Size) map[ledger.Fault]int64 {
	size = size.withDefaults()
	return map[ledger.Fault]int64{
		{Stage: ledger.Autocommit, Code: "08007"}:    int64(size.Writers),
		{Stage: ledger.Beginning, Code: "08007"}:     int64(size.Callers),
		{Stage: ledger.InTransaction, Code: "57P01"}: int64(size.Callers),
		{Stage: ledger.Committing, Code: "08007"}:    int64(size.Callers),
	}
}

// ShutDown are the errors of units of work under way at a primary that is stopped in order, and says so itself.
func ShutDown(size Size) map[ledger.Fault]int64 {
	size = size.withDefaults()
	return map[ledger.Fault]int64{
		{Stage: ledger.Autocommit, Code: "57P01"}: int64(size.Writers),
		{Stage: ledger.Beginning, Code: "57P01"}:  int64(size.Callers),
		{Stage: ledger.Committing, Code: "57P01"}: int64(size.Callers),
	}
}

func (s Size) withDefaults() Size {
	if s.Writers == 0 {
		s.Writers = usualWriters
	}
	if s.Callers == 0 {
		s.Callers = usualCallers
	}
	if s.Readers == 0 {
		s.Readers = usualReaders
	}
	if s.Rate == 0 {
		s.Rate = usualRate
	}
	return s
}

// limit bounds what has to happen.
func limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, recoverLimit)
}

// Scene is a drill under way, as its event sees it.
type Scene struct {
	T       testing.TB
	Cluster *testcluster.PatroniCluster
	Routers []*testrouter.Process
	Leader  *testcluster.PatroniNode // when it began; in a history, when the event in hand began
	Net     *Network                 // nil unless Plan.Proxied

	plan   Plan
	crews  []*crew
	direct *eyewitness
}

// Standbys returns the nodes that are not Leader.
func (s *Scene) Standbys() []*testcluster.PatroniNode {
	var standbys []*testcluster.PatroniNode
	for _, n := range s.Cluster.Nodes() {
		if n != s.Leader {
			standbys = append(standbys, n)
		}
	}
	return standbys
}

// Candidate returns a standby that Patroni lets lead: with synchronous replication the one that commits wait for.
func (s *Scene) Candidate(ctx context.Context) *testcluster.PatroniNode {
	s.T.Helper()
	if s.plan.Cluster.Synchronous == testcluster.SyncOff {
		return s.Standbys()[0]
	}
	var found *testcluster.PatroniNode
	s.awaitView(ctx, func(testcluster.PatroniView) bool {
		found = s.Cluster.SyncStandby(ctx)
		return found != nil
	})
	return found
}

// Must ends the drill at an error.
func (s *Scene) Must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

// Log notes what happens, and when.
func (s *Scene) Log(format string, args ...any) {
	s.T.Helper()
	s.T.Logf(time.Now().Format("15:04:05.000 ")+format, args...)
}

// Await waits until a condition holds.
func (s *Scene) Await(what string, is func() bool) {
	s.T.Helper()
	s.Routers[0].Await(what, recoverLimit, is)
}

// AwaitLeader waits until another node than Leader leads, and every router sends its writes there.
func (s *Scene) AwaitLeader(ctx context.Context) *testcluster.PatroniNode {
	s.T.Helper()
	ctx, cancel := limit(ctx)
	defer cancel()
	next, err := s.Cluster.AwaitLeader(ctx, s.Leader)
	s.Must(err)
	s.Log("%v leads", next)
	s.AwaitServed(next)
	return next
}

// awaitView waits until what all agents say is as wanted.
func (s *Scene) awaitView(ctx context.Context, wanted func(testcluster.PatroniView) bool) {
	s.T.Helper()
	ctx, cancel := limit(ctx)
	defer cancel()
	_, err := s.Cluster.Await(ctx, wanted)
	s.Must(err)
}

// AwaitReady waits until the cluster is whole: somebody leads, and all others follow.
func (s *Scene) AwaitReady(ctx context.Context) {
	s.T.Helper()
	ctx, cancel := limit(ctx)
	defer cancel()
	s.Must(s.Cluster.AwaitReady(ctx))
}

// AwaitServed waits until every router sends its writes to a node.
func (s *Scene) AwaitServed(n *testcluster.PatroniNode) {
	s.T.Helper()
	for _, r := range s.Routers {
		s.Await("the router serves "+n.String(), func() bool { return r.View().Clusters[0].Primary == s.address(n) })
	}
}

// address is how routers call a node.
func (s *Scene) address(n *testcluster.PatroniNode) string {
	if s.Net == nil {
		return n.Addr()
	}
	return s.Net.via(n.Addr())
}

// AwaitWrites waits until so many writes of each kind were acknowledged through each router from now on.
func (s *Scene) AwaitWrites(most int) {
	s.T.Helper()
	for _, c := range s.crews {
		c.steady(s, most)
	}
}

// AwaitWaiting waits until every writing client waits for a primary.
func (s *Scene) AwaitWaiting() {
	s.T.Helper()
	size := s.plan.Load
	s.Await("all who write wait", func() bool {
		waiting := 0.0
		for _, r := range s.Routers {
			waiting += r.Metrics()["pgrouter_pool_waiting"]
		}
		return int(waiting) >= size.Writers+size.Callers
	})
}

// AwaitAlarm waits until every router raises an alarm.
func (s *Scene) AwaitAlarm() {
	s.T.Helper()
	for _, r := range s.Routers {
		s.Await("the router raises an alarm", func() bool { return r.View().Clusters[0].Alarm != "" })
		s.Log("alarm: %s", r.View().Clusters[0].Alarm)
	}
}

// Written counts, on a direct connection, the rows of the load that were written on a node after a moment.
func (s *Scene) Written(ctx context.Context, n *testcluster.PatroniNode, after time.Time) int {
	s.T.Helper()
	conn, err := n.Connect(ctx)
	s.Must(err)
	defer farewell(conn)
	var rows int
	s.Must(conn.QueryRow(ctx, "SELECT count(*) FROM pgrouter_ledger WHERE at > $1", after).Scan(&rows))
	return rows
}

// Pass lets a stretch of time pass, in which nothing more happens: a lease that runs, etcd that is not there.
func (s *Scene) Pass(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
