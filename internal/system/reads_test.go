package system

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// aRead lasts a moment, so that some are under way whenever a standby ends. It says on which node it has run.
const aRead = "select inet_server_port(), pg_sleep(0.005)"

// readers read at one address, in autocommit, until they are stopped: by the simple protocol, by the extended one, and by one who
// connects for each read.
type readers struct {
	t     *testing.T
	r     *testrouter.Process
	dsn   string
	ends  context.CancelFunc
	all   sync.WaitGroup
	reads atomic.Int64
	mu    sync.Mutex
	at    map[string]int // reads, by port
	fails []string
}

// readerCount is how many read at the same time.
const readerCount = 7

func startReaders(t *testing.T, c *testcluster.Cluster, r *testrouter.Process) *readers {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	rs := &readers{t: t, r: r, dsn: c.DSN(r.Read, testcluster.AppUser, testcluster.DefaultDatabase), ends: cancel, at: make(map[string]int)}
	for range (readerCount - 1) / 2 {
		rs.all.Go(func() { rs.stay(ctx, readSimple) })
		rs.all.Go(func() { rs.stay(ctx, readExtended) })
	}
	rs.all.Go(func() { rs.comeAndGo(ctx) })
	t.Cleanup(rs.stop)
	return rs
}

func readSimple(conn *pgconn.PgConn) ([][]byte, error) {
	results, err := conn.Exec(context.Background(), aRead).ReadAll()
	if err != nil {
		return nil, err
	}
	return results[0].Rows[0], nil
}

func readExtended(conn *pgconn.PgConn) ([][]byte, error) {
	result := conn.ExecParams(context.Background(), aRead, nil, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	return result.Rows[0], nil
}

// stay reads on one connection for as long as there is no error.
func (rs *readers) stay(ctx context.Context, read func(*pgconn.PgConn) ([][]byte, error)) {
	conn, err := pgconn.Connect(context.Background(), rs.dsn)
	if err != nil {
		rs.note(nil, err)
		return
	}
	defer conn.Close(context.Background())
	for err == nil && ctx.Err() == nil {
		var row [][]byte
		row, err = read(conn)
		rs.note(row, err)
	}
}

// comeAndGo connects for each read.
func (rs *readers) comeAndGo(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := pgconn.Connect(context.Background(), rs.dsn)
		if err != nil {
			rs.note(nil, err)
			return
		}
		row, err := readSimple(conn)
		rs.note(row, err)
		conn.Close(context.Background())
	}
}

func (rs *readers) note(row [][]byte, err error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if err != nil {
		rs.fails = append(rs.fails, err.Error())
		return
	}
	rs.at[string(row[0])]++
	rs.reads.Add(1)
}

func (rs *readers) stop() {
	rs.ends()
	rs.all.Wait()
}

// goOn waits until many more reads have been answered, and returns how many there were at each node.
func (rs *readers) goOn(during string) map[string]int {
	rs.t.Helper()
	rs.mu.Lock()
	clear(rs.at)
	rs.mu.Unlock()
	const many = 300
	before := rs.reads.Load()
	failed := func() bool {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		return len(rs.fails) > 0
	}
	rs.r.Await("reads go on: "+during, time.Minute, func() bool { return failed() || rs.reads.Load() > before+many })
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if len(rs.fails) > 0 {
		rs.t.Fatalf("%s: %d readers saw an error: %s", during, len(rs.fails), rs.fails)
	}
	return maps.Clone(rs.at)
}

func port(n *testcluster.Node) string {
	_, port, _ := net.SplitHostPort(n.Addr())
	return port
}

// ordeal is something that befalls a standby while it is read from.
type ordeal struct {
	name string
	do   func(context.Context, *testcluster.Node) error
}

// ends are the ways in which a standby ends.
func ends() []ordeal {
	return []ordeal{
		{"it is stopped in order", func(ctx context.Context, n *testcluster.Node) error { return n.StopFast(ctx) }},
		{"it is aborted", func(ctx context.Context, n *testcluster.Node) error { return n.StopImmediate(ctx) }},
		{"all of it is killed", func(_ context.Context, n *testcluster.Node) error { n.Kill9(); return nil }},
		{"its postmaster is killed", func(_ context.Context, n *testcluster.Node) error { n.KillPostmaster(); return nil }},
	}
}

// atLimit is the context of one step.
func atLimit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestReadersSeeNoErrorWhileStandbysComeAndGo lets each kind of end come over one of two standbys, and has it back each time. Reads that
// run there are sent to the other one; when it is back it gets its share.
func TestReadersSeeNoErrorWhileStandbysComeAndGo(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 2})
	r := testrouter.Start(t, c, testrouter.Options{})
	knows(r, 3)
	rs := startReaders(t, c, r)
	rs.goOn("all is well")
	for i, o := range ends() {
		victim := c.Node(1 + i%2)
		must(t, o.do(atLimit(t), victim))
		rs.goOn(o.name)
		r.Await("it is missed", time.Minute, func() bool { return r.Metrics()["pgrouter_node_up"] == 2 })
		if at := rs.goOn("it is gone"); at[port(victim)]+at[port(c.Primary())] > 0 {
			t.Errorf("%s: reads go to %v", o.name, at)
		}
		must(t, victim.Start(atLimit(t)))
		knows(r, 3)
		r.Await("it gets reads again", time.Minute, func() bool { return rs.goOn("it is back")[port(victim)] > 0 })
	}
	must(t, c.Node(1).Restart(atLimit(t)))
	rs.goOn("it was restarted")
}

// TestReadersSeeNoErrorWhileTheOnlyStandbyComesAndGoes lets them fall back to the primary.
func TestReadersSeeNoErrorWhileTheOnlyStandbyComesAndGoes(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Start(t, c, testrouter.Options{})
	knows(r, 2)
	rs := startReaders(t, c, r)
	victim := c.Node(1)
	for _, o := range ends() {
		if at := rs.goOn("all is well"); at[port(victim)] == 0 {
			t.Errorf("reads go to %v", at)
		}
		must(t, o.do(atLimit(t), victim))
		r.Await("it is missed", time.Minute, func() bool { return r.Metrics()["pgrouter_node_up"] == 1 })
		if at := rs.goOn(o.name); at[port(victim)] > 0 || at[port(c.Primary())] == 0 {
			t.Errorf("%s: reads go to %v", o.name, at)
		}
		must(t, victim.Start(atLimit(t)))
		knows(r, 2)
		r.Await("reads leave the primary", time.Minute, func() bool { return rs.goOn("it is back")[port(c.Primary())] == 0 })
	}
}

// TestAStandbyThatLagsGetsNoReads stops the replay of one of two standbys, by bytes and by time.
func TestAStandbyThatLagsGetsNoReads(t *testing.T) {
	for _, limit := range []string{`max_lag = "64kB"`, `max_lag_time = "4s"`} {
		t.Run(limit, func(t *testing.T) {
			c := clustertest.Start(t, testcluster.Options{Standbys: 2})
			r := testrouter.Start(t, c, testrouter.Options{More: limit + "\n"})
			knows(r, 3)
			rs := startReaders(t, c, r)
			victim := c.Node(1)
			r.Await("both are read from", time.Minute, func() bool { return len(rs.goOn("all is well")) == 2 })
			must(t, victim.PauseReplay(atLimit(t)))
			must(t, c.Primary().Exec(atLimit(t), "create table filling as select repeat('x', 100) from generate_series(1, 10000)"))
			lagging := func() float64 { return r.Metrics()["pgrouter_node_lagging"] }
			r.Await("it is shut out", time.Minute, func() bool { return lagging() == 1 })
			if at := rs.goOn("it lags"); at[port(victim)] > readerCount { // of each one may have begun before
				t.Errorf("reads go to %v", at)
			}
			must(t, victim.ResumeReplay(atLimit(t)))
			r.Await("it is let in again", time.Minute, func() bool { return lagging() == 0 })
			r.Await("both are read from", time.Minute, func() bool { return len(rs.goOn("it has caught up")) == 2 })
		})
	}
}

// TestReadsAreSharedOutByWeightOfRealStandbys counts where they run.
func TestReadsAreSharedOutByWeightOfRealStandbys(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 2})
	weights := fmt.Sprintf("weights = [%q]", c.Node(1).Addr()+"=3")
	r := testrouter.Start(t, c, testrouter.Options{Cluster: weights + "\nslow_start = \"0s\""})
	knows(r, 3)
	conn := connect(t, c, r.Read)
	count := make(map[string]int)
	for i := range 420 {
		row, err := readSimple(conn)
		if err != nil {
			t.Fatal(err)
		}
		if i >= 20 { // until both have a connection
			count[string(row[0])]++
		}
	}
	if heavy := count[port(c.Node(1))]; heavy < 290 || heavy > 310 {
		t.Errorf("%v, of which %s has the weight 3", count, strconv.Quote(port(c.Node(1))))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
