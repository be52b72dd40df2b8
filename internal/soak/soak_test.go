//go:build soak

package soak

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

var (
	length = flag.Duration("soak", 2*time.Minute, "how long the faults go on")
	seed   = flag.Uint64("seed", 0, "of the faults; 0: by the clock, and told")
)

const (
	faultEvery   = 10 * time.Second
	recoverLimit = 2 * time.Minute
	plannedGrace = 20 * time.Second // for the router to promote after it has stopped a primary; the supervisor does otherwise
	calm         = 5 * time.Second
)

// TestSoak runs a mixed load through the router while a random fault happens every ten seconds: a node killed, stopped, frozen,
// a planned switchover, a pause, a reload, servers terminated, clients that cancel, reset and leave in the middle; all under a limit of server
// connections that keeps the queues of the write port and of the read port out of each other's way. In the end every
// acknowledged row is there once, and the router holds what it held at the beginning.
func TestSoak(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := clustertest.Start(t, testcluster.Options{Standbys: 2, Sync: true})
	r := testrouter.Start(t, c, testrouter.Options{
		Loops: 2, Pool: "min_size = 2\nreserve_size = 2\nreserve_timeout = \"1s\"", Caps: fmt.Sprint("max_server_connections = ", maxServers),
	})
	direct, err := c.Primary().ConnectTo(ctx, "app")
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Prepare(ctx, direct, 1000); err != nil {
		t.Fatal(err)
	}
	direct.Close(ctx)
	if err := c.WaitReplicas(ctx); err != nil { // lookups go to standbys
		t.Fatal(err)
	}
	var all sync.WaitGroup
	supervised, stopSupervisor := context.WithCancel(ctx)
	supervisor := testcluster.NewSupervisor(c, testcluster.SupervisorOptions{Delay: 500 * time.Millisecond, PlannedGrace: plannedGrace})
	all.Go(func() { supervisor.Run(supervised) })

	load, err := ledger.New(ledger.Config{
		WriteDSN: c.DSN(r.Write, "app", "app"), ReadDSN: c.DSN(r.Read, "app", "app"), Clients: 24, Rate: 400, Timeout: 90 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	all.Go(func() { load.Run(ctx) })
	m := &mischief{router: r, write: c.DSN(r.Write, "app", "app"), read: c.DSN(r.Read, "app", "app")}
	all.Go(func() { m.run(supervised, rand.New(rand.NewPCG(*seed, 2))) })

	w := &witness{t: t, router: r}
	w.settle(ctx, calm)
	w.baseline()
	f := &faults{
		t: t, cluster: c, router: r, dice: rand.New(rand.NewPCG(*seed, 1)), write: c.DSN(r.Write, "app", "app"),
		console: c.DSN(r.Write, "app", "pgrouter"),
	}
	for end := time.Now().Add(*length); time.Now().Before(end); {
		f.one(ctx)
		w.settle(ctx, faultEvery)
		w.look()
	}
	f.whole(ctx) // or what the last fault broke might stay so
	stopSupervisor()
	load.Stop()
	waitFor(t, "the load ends", load)
	cancel()
	all.Wait()
	w.end()
	prove(t, c, load)
}

// waitFor waits until the clients of a load that was stopped have finished what they were at.
func waitFor(t *testing.T, what string, load *ledger.Load) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(recoverLimit)
	last := operations(load)
	same := 0
	for same < 40 {
		select {
		case <-tick.C:
			now := operations(load)
			if now == last {
				same++
			} else {
				same = 0
			}
			last = now
		case <-limit:
			t.Fatalf("it took too long that %s", what)
		}
	}
}

func operations(load *ledger.Load) uint64 {
	total := load.Total()
	all := total.All()
	return all.Count()
}

// impossible are SQLSTATEs that no fault of a node explains: the load cancels nothing, and says ROLLBACK after each error.
var impossible = map[string]string{
	"57014": "somebody else's cancel request",
	"25P02": "somebody else's transaction",
	"08P01": "what was sent or answered was not in order",
	"42P01": "a node was asked that does not have the tables",
}

// prove counts on a direct connection.
func prove(t *testing.T, c *testcluster.Cluster, load *ledger.Load) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), recoverLimit)
	defer cancel()
	primary, err := c.FindPrimary(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var conn *pgx.Conn
	if conn, err = primary.ConnectTo(ctx, "app"); err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	v, err := load.Verify(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	errs := load.Total().Errors
	t.Logf("%d operations; errors %v; ledger: %+v", operations(load), errs, v)
	for code, why := range impossible {
		if n := errs[code]; n > 0 {
			t.Errorf("%d times SQLSTATE %s: %s", n, code, why)
		}
	}
	if !v.Clean() {
		t.Errorf("the ledger does not agree: %v", v.Err())
	}
	if v.Acknowledged == 0 {
		t.Error("nothing was written: the test proves nothing")
	}
}
