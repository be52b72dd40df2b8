package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// psql runs one command as a user would.
func psql(t *testing.T, c *testcluster.Cluster, address, sql string) string {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	cmd := exec.Command("psql", "-h", host, "-p", port, "-U", testcluster.AppUser, "-AtX", "-c", sql, testcluster.DefaultDatabase)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+c.Role(testcluster.AppUser).Password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("psql %s: %v\n%s", sql, err, out)
	}
	return strings.TrimSpace(string(out))
}

func connect(t *testing.T, c *testcluster.Cluster, address string) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(context.Background(), c.DSN(address, testcluster.AppUser, testcluster.DefaultDatabase))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func query(conn *pgconn.PgConn, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 || len(results[0].Rows) == 0 {
		return "", err
	}
	return string(results[0].Rows[0][0]), nil
}

// knows waits until the router has seen so many nodes up: it is ready as soon as it has a primary.
func knows(r *testrouter.Process, nodes int) {
	r.Await(fmt.Sprintf("%d nodes are known", nodes), time.Minute, func() bool { return r.Metrics()["pgrouter_node_up"] == float64(nodes) })
}

func TestWritesGoToThePrimaryAndReadsToAStandby(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 2})
	r := testrouter.Start(t, c, testrouter.Options{})
	knows(r, 3) // without a standby the read port leads to the primary
	if got := psql(t, c, r.Write, "select pg_is_in_recovery()"); got != "f" {
		t.Errorf("write port: in recovery = %s", got)
	}
	if got := psql(t, c, r.Read, "select pg_is_in_recovery()"); got != "t" {
		t.Errorf("read port: in recovery = %s", got)
	}
}

// TestAPromotedStandbyIsServedAtOnce stops the primary and promotes a standby. Clients that are idle, and clients that wait,
// keep their connections; how long the write port takes after the promotion is told, not asserted.
func TestAPromotedStandbyIsServedAtOnce(t *testing.T) {
	ctx := context.Background()
	c := clustertest.Start(t, testcluster.Options{Standbys: 2})
	r := testrouter.Start(t, c, testrouter.Options{})
	idle, waiting := connect(t, c, r.Write), connect(t, c, r.Write)
	for _, conn := range []*pgconn.PgConn{idle, waiting} {
		if _, err := query(conn, "create table if not exists t(n int)"); err != nil {
			t.Fatal(err)
		}
	}
	old, next := c.Primary(), c.Standbys()[0]
	if err := old.StopFast(ctx); err != nil {
		t.Fatal(err)
	}
	type served struct {
		at  time.Time
		err error
	}
	done := make(chan served, 1)
	go func() {
		_, err := query(waiting, "insert into t values (1)")
		done <- served{time.Now(), err}
	}()
	r.Await("one waits", time.Minute, func() bool { return r.Metrics()["pgrouter_pool_waiting"] >= 1 })
	if err := next.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	promoted := time.Now()
	got := <-done
	if got.err != nil {
		t.Fatalf("the waiting client: %v", got.err)
	}
	t.Logf("served %v after the promotion had ended", got.at.Sub(promoted))
	if n, err := query(idle, "select count(*) from t"); err != nil || n != "1" {
		t.Fatalf("the idle client: %s, %v", n, err)
	}
}

func TestAPlannedSwitchoverUnderWritersShowsNoError(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 2, Sync: true})
	r := testrouter.Start(t, c, testrouter.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	direct, err := c.Primary().ConnectTo(ctx, testcluster.DefaultDatabase)
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Prepare(ctx, direct, 100); err != nil {
		t.Fatal(err)
	}
	direct.Close(ctx)
	load, err := ledger.New(ledger.Config{
		WriteDSN: c.DSN(r.Write, "app", "app"), ReadDSN: c.DSN(r.Read, "app", "app"), Clients: 8, Rate: 400, Subscribers: 100,
		Timeout: 90 * time.Second, // longer than anybody is held
		Mix:     ledger.Mix{Lookup: 0, Register: 40, Record: 40, Call: 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	supervisor := testcluster.NewSupervisor(c, testcluster.SupervisorOptions{PlannedGrace: time.Minute})
	all.Go(func() { supervisor.Run(ctx) })
	all.Go(func() { load.Run(ctx) })
	writes := func() uint64 { total := load.Total(); all := total.All(); return all.Count() }
	for range 2 {
		before := writes()
		r.Await("the load runs", time.Minute, func() bool { return writes() > before+200 })
		r.Await("all nodes replicate", time.Minute, func() bool { return len(c.Standbys()) == 2 && c.WaitReplicas(ctx) == nil })
		knows(r, 3)
		if err := r.Switchover(ctx, c.Standbys()[0].Addr()); err != nil {
			t.Fatal(err)
		}
	}
	before := writes()
	r.Await("the load goes on", time.Minute, func() bool { return writes() > before+200 })
	load.Stop()
	r.Await("all clients have left", time.Minute, func() bool { return r.Metrics()["pgrouter_clients"] == 0 })
	cancel()
	all.Wait()
	total := load.Total()
	v := verify(t, c, load)
	if v.Failed != 0 || v.Unknown != 0 || !v.Clean() {
		t.Errorf("writers saw errors: %+v", v)
	}
	t.Logf("%+v, %+v", v, total.Errors)
}

func verify(t *testing.T, c *testcluster.Cluster, load *ledger.Load) ledger.Verdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	primary, err := c.FindPrimary(ctx)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := primary.ConnectTo(ctx, testcluster.DefaultDatabase)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	v, err := load.Verify(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestTheRouterStartsWithoutAnyNode starts it in front of nothing: it holds, says so, and serves when a node comes.
func TestTheRouterStartsWithoutAnyNode(t *testing.T) {
	ctx := context.Background()
	c := clustertest.Start(t, testcluster.Options{})
	node := c.Node(0)
	if err := node.StopFast(ctx); err != nil {
		t.Fatal(err)
	}
	r := testrouter.Launch(t, c, testrouter.Options{})
	done := make(chan error, 1)
	go func() {
		conn, err := pgconn.Connect(ctx, c.DSN(r.Write, "app", "app"))
		for err != nil && !errors.As(err, new(*pgconn.PgError)) { // it does not listen yet
			conn, err = pgconn.Connect(ctx, c.DSN(r.Write, "app", "app"))
		}
		if err == nil {
			_, err = query(conn, "select 1")
			conn.Close(ctx)
		}
		done <- err
	}()
	r.Await("it says that there is no primary", time.Minute, func() bool { return strings.Contains(r.Tail(), "node_down") || strings.Contains(r.Tail(), "down") })
	if err := node.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatalf("the client that came too early: %v\n%s", err, r.Tail())
	}
}

func TestFaultyStartsAreToldWithTheirPlace(t *testing.T) {
	binary := testrouter.Binary(t)
	dir := t.TempDir()
	taken := testrouter.FreeAddress(t)
	c := sharedCluster(t)
	cases := []struct {
		name, text string
		status     int
		want       string
	}{
		{"wrong TOML", "[pool\nsize = 1", 2, "pgrouter.toml:2"},
		{"unknown key", "[pool]\nsise = 1\n[cluster.main]\nnodes=[\"a\"]", 2, "sise"},
		{"unreadable userlist", "[auth]\nuserlist = \"nowhere.txt\"\n[cluster.main]\nnodes=[\"a\"]\n[admin]\nhttp=\"\"", 2, "nowhere.txt"},
		{"port taken", fmt.Sprintf("[auth]\nmethod=\"trust\"\n[admin]\nhttp=\"\"\n[cluster.main]\nnodes=[\"a\"]\n[[listener]]\naddress=%q\n[[listener]]\naddress=%q\n", c.Primary().Addr(), taken), 1, "in use"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(dir, "pgrouter.toml")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, "run", "--config", path)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != tc.status || !strings.Contains(out.String(), tc.want) {
				t.Fatalf("%v, want a mention of %q:\n%s", err, tc.want, out.String())
			}
		})
	}
}

// TestOutOfDescriptors opens more clients than the router has descriptors for: those that are in go on, and when some leave
// others get in.
func TestOutOfDescriptors(t *testing.T) {
	c := sharedCluster(t)
	r := testrouter.Start(t, c, testrouter.Options{Limit: 48, Loops: 1, Size: 2})
	first := connect(t, c, r.Write)
	if _, err := query(first, "select 1"); err != nil {
		t.Fatal(err)
	}
	var open []*pgconn.PgConn
	for range 60 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := pgconn.Connect(ctx, c.DSN(r.Write, "app", "app"))
		cancel()
		if err != nil {
			break
		}
		open = append(open, conn)
	}
	if len(open) == 60 {
		t.Fatalf("the limit was not reached, %d descriptors are open: the test shows nothing", r.Descriptors())
	}
	if got, err := query(first, "select 7"); err != nil || got != "7" {
		t.Fatalf("the client that was in: %q, %v\n%s", got, err, r.Tail())
	}
	for _, conn := range open {
		conn.Close(context.Background())
	}
	r.Await("others get in", time.Minute, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		conn, err := pgconn.Connect(ctx, c.DSN(r.Write, "app", "app"))
		if err != nil {
			return false
		}
		conn.Close(ctx)
		return true
	})
}

// TestAClientThatStopsReadingDisturbsNobody lets one client ask for much and read nothing.
func TestAClientThatStopsReadingDisturbsNobody(t *testing.T) {
	c := sharedCluster(t)
	r := testrouter.Start(t, c, testrouter.Options{Loops: 1, Size: 2})
	slow, quick := connect(t, c, r.Write), connect(t, c, r.Write)
	before := r.Resident()
	if _, err := slow.Conn().Write(append([]byte{'Q', 0, 0, 0, 63}, []byte("select repeat('x', 1000) from generate_series(1, 1000000);;;\x00")[:59]...)); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if got, err := query(quick, fmt.Sprintf("select %d", i)); err != nil || got != strconv.Itoa(i) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if grown := r.Resident() - before; grown > 64<<20 {
		t.Errorf("memory grew by %d MB for a client that does not read", grown>>20)
	}
}

// TestSIGTERMDrains lets a transaction end before the router does.
func TestSIGTERMDrains(t *testing.T) {
	c := sharedCluster(t)
	r := testrouter.Start(t, c, testrouter.Options{})
	busy, idle := connect(t, c, r.Write), connect(t, c, r.Write)
	if _, err := query(busy, "begin; create table drained(n int)"); err != nil {
		t.Fatal(err)
	}
	if err := r.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var pg *pgconn.PgError
	if err := idle.WaitForNotification(context.Background()); !errors.As(err, &pg) || pg.Code != "57P01" {
		t.Fatalf("the idle client: %v", err)
	}
	if _, err := query(busy, "insert into drained values (1)"); err != nil {
		t.Fatalf("in its transaction: %v", err)
	}
	if _, err := query(busy, "commit"); err != nil {
		t.Fatalf("its commit: %v", err)
	}
}
