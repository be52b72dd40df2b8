package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/state"
	"github.com/pgrouter/pgrouter/topology"
)

// shared is the cluster of the tests that hurt no server: a primary and a standby.
var shared clustertest.Shared

func TestMain(m *testing.M) {
	status := m.Run()
	if err := errors.Join(shared.Close(), goleak.Find()); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// sharedCluster returns the shared cluster with an empty database.
func sharedCluster(t testing.TB) *testcluster.Cluster {
	t.Helper()
	return shared.Cluster(t, testcluster.Options{Standbys: 1})
}

const cluster = topology.ClusterID("main")

// patience bounds every wait of these tests, and how long clients of theirs are held; nothing is measured against it.
const patience = time.Minute

// router is a Proxy with everything below it and a topology that the test writes by hand.
type router struct {
	t       testing.TB
	policy  proxy.Policy
	refused *pgwire.Error // what policies say instead
	loops   int
	quick   bool          // without the check of the pool's invariants after each step
	sweep   time.Duration // how often the pool sweeps; 0: each second
	secret  auth.Secret
	users   auth.Users // nil: everybody is let in
	console proxy.Virtual
	snap    atomic.Pointer[topology.Snapshot]
	reactor *reactor.Reactor
	pool    *pool.Pool
	proxy   *proxy.Proxy
	address string
	seq     uint64
	removed atomic.Pointer[string]       // a user that is not there any more
	later   atomic.Pointer[proxy.Policy] // in place of policy
	doors   []*proxy.Door
	log     io.Writer // what the router logs; nil: nowhere
}

type users struct{}

func (users) Entry(user string) auth.Entry {
	e, err := auth.NewEntry(user, auth.Secret{}, auth.NewSeed(), auth.DefaultIterations)
	if err != nil {
		panic(err)
	}
	return e
}

// Exchange lets everybody in, unless the test knows users.
func (r *router) Exchange(user string) *auth.Exchange {
	if r.users != nil {
		return auth.NewExchange(auth.MethodSCRAM, user, r.users, nil)
	}
	return auth.NewExchange(auth.MethodTrust, user, users{}, nil)
}

// Known reports whether a user has not been removed.
func (r *router) Known(user string) bool {
	gone := r.removed.Load()
	return gone == nil || *gone != user
}

// Policy is the same for all.
func (r *router) Policy(proxy.ListenerConfig, string, string) (proxy.Policy, *pgwire.Error) {
	if later := r.later.Load(); later != nil {
		return *later, r.refused
	}
	return r.policy, r.refused
}

// Dial logs in to a server.
func (r *router) Dial(ctx context.Context, t backend.Target, k pool.Key) (*backend.Conn, error) {
	return backend.Dial(ctx, backend.Config{}, t, backend.Login{
		User: k.User, Database: k.OnServer(), Params: proxy.DecodeOptions(k.Options), Replication: k.Replication, Secret: r.secret,
	})
}

func defaultPolicy() proxy.Policy {
	cfg := pool.Defaults()
	cfg.Size = 2
	return proxy.Policy{
		Mode: proxy.ModeTransaction, HoldTimeout: patience, WaitTimeout: patience, LoginHoldTimeout: patience, Pool: cfg,
	}
}

// start builds the router in front of nodes that publish will name.
func (r *router) start() *router {
	r.t.Helper()
	logger := slog.New(slog.DiscardHandler)
	if r.log != nil {
		logger = slog.New(slog.NewTextHandler(r.log, nil))
	}
	if os.Getenv("PGROUTER_TEST_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var err error
	if r.reactor, err = reactor.New(reactor.Config{Loops: r.loops, ScratchBytes: 128 << 10, Logger: logger}); err != nil {
		r.t.Fatal(err)
	}
	if r.pool, err = pool.New(pool.Options{Reactor: r.reactor, Dialer: r, Logger: logger, Sweep: r.sweep, Verify: !r.quick}); err != nil {
		r.t.Fatal(err)
	}
	virtuals := make(map[string]proxy.Virtual)
	if r.console != nil {
		virtuals["console"] = r.console
	}
	r.proxy, err = proxy.New(proxy.Defaults(), proxy.Deps{
		Virtuals: virtuals,
		Reactor:  r.reactor, Pool: r.pool, Vectors: &state.Table{}, Authenticator: r, Policies: r, Events: event.Discard{}, Logger: logger,
		Snapshot: func(topology.ClusterID) *topology.Snapshot { return r.snap.Load() },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.address = r.listen(routing.Primary)
	r.t.Cleanup(r.stop)
	return r
}

func (r *router) listen(route routing.Route) string {
	r.t.Helper()
	ln, err := reactor.Listen("tcp", "127.0.0.1:0", r.proxy.ListenOptions())
	if err != nil {
		r.t.Fatal(err)
	}
	door, err := r.proxy.Serve(ln, proxy.ListenerConfig{Address: ln.Addr().String(), Cluster: cluster, Route: route})
	if err != nil {
		r.t.Fatal(err)
	}
	r.doors = append(r.doors, door)
	return ln.Addr().String()
}

func (r *router) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_ = r.proxy.Shutdown(ctx) // tests leave clients behind
	if err := r.pool.Close(ctx); err != nil {
		r.t.Logf("pool: %v", err)
	}
	if err := r.reactor.Close(); err != nil {
		r.t.Error(err)
	}
	for _, l := range r.reactor.Loops() { // an invariant that is broken, for one
		if n := l.Stats().Panics; n > 0 {
			r.t.Errorf("%d handlers of loop %d have panicked", n, l.ID())
		}
	}
}

// publish makes a node of the test cluster the primary, and the others standbys. nil: there is no primary.
func (r *router) publish(c *testcluster.Cluster, primary *testcluster.Node) {
	var id topology.NodeID
	var nodes []topology.Node
	for _, n := range c.Nodes() {
		nodes = append(nodes, topology.Node{ID: topology.NodeID(n.Addr()), Address: n.Addr()})
		if n == primary {
			id = topology.NodeID(n.Addr())
		}
	}
	r.show(id, nodes...)
}

// show publishes a picture of the cluster: nodes of these names and addresses, all of them up, are standbys of the primary.
// "": there is none.
func (r *router) show(primary topology.NodeID, nodes ...topology.Node) {
	r.seq++
	snap := &topology.Snapshot{Cluster: cluster, Phase: topology.PhaseLeaderless, Seq: r.seq, At: time.Now()}
	if prev := r.snap.Load(); prev != nil {
		snap.Epoch, snap.LastPrimary = prev.Epoch, prev.LastPrimary
	}
	if primary != "" {
		snap.Phase, snap.Primary = topology.PhaseSteady, primary
		if snap.LastPrimary != primary {
			snap.Epoch++
		}
		snap.LastPrimary = primary
	}
	for _, n := range nodes {
		n.Role, n.Health, n.Incarnation, n.LagKnown = topology.RoleStandby, topology.HealthUp, 1, true
		if n.ID == primary {
			n.Role = topology.RolePrimary
		}
		snap.Nodes = append(snap.Nodes, n)
	}
	r.snap.Store(snap)
	r.pool.Publish(snap)
}

// newRouter starts one in front of a real primary that the test shares with others.
func newRouter(t testing.TB, change func(*router)) (*router, *testcluster.Cluster) {
	t.Helper()
	return routerFor(t, sharedCluster(t), change)
}

// ownRouter starts one in front of a cluster that the test may break.
func ownRouter(t testing.TB, options testcluster.Options, change func(*router)) (*router, *testcluster.Cluster) {
	t.Helper()
	return routerFor(t, clustertest.Start(t, options), change)
}

func routerFor(t testing.TB, c *testcluster.Cluster, change func(*router)) (*router, *testcluster.Cluster) {
	t.Helper()
	r := &router{t: t, policy: defaultPolicy(), loops: 1, secret: auth.PlainSecret(c.Role(testcluster.AppUser).Password)}
	if change != nil {
		change(r)
	}
	r.start()
	r.publish(c, c.Primary())
	return r, c
}

// dsn is for a client of the router.
func (r *router) dsn(more string) string {
	host, port, err := net.SplitHostPort(r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	return "host=" + host + " port=" + port + " user=app dbname=app sslmode=prefer " + more
}

func (r *router) connect(ctx context.Context, more string) *pgconn.PgConn {
	r.t.Helper()
	conn, err := pgconn.Connect(ctx, r.dsn(more))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// text runs a query and returns its first column, joined by commas.
func text(t testing.TB, conn *pgconn.PgConn, sql string) string {
	t.Helper()
	got, err := query(conn, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func query(conn *pgconn.PgConn, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	results, err := conn.Exec(ctx, sql).ReadAll()
	var cells []string
	for _, r := range results {
		for _, row := range r.Rows {
			cells = append(cells, string(row[0]))
		}
	}
	return strings.Join(cells, ","), err
}
