package system

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// TestAPrimaryThatIsMadeReadOnlyHoldsWrites sets default_transaction_read_only on the primary, which says nothing of it to anybody: the first
// writes are answered 25006, the first of them makes the router look, and from then on writes wait. What was sent before and is answered 25006
// after it is told 57P01 instead. Who waits is answered when it takes writes again, and nothing is lost or done twice.
func TestAPrimaryThatIsMadeReadOnlyHoldsWrites(t *testing.T) {
	const clients, refused = 8, "25006"
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Start(t, c, testrouter.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	load := writers(ctx, t, c, r, clients)
	var all sync.WaitGroup
	all.Go(func() { load.Run(ctx) })
	runs := func() {
		t.Helper()
		before := load.Total().Acknowledged
		r.Await("writes are acknowledged", time.Minute, func() bool { return load.Total().Acknowledged > before+100 })
	}
	runs()
	readOnly := func(value string) {
		t.Helper()
		if err := c.Primary().Configure(map[string]string{"default_transaction_read_only": value}); err != nil {
			t.Fatal(err)
		}
	}
	readOnly("on")
	r.Await("there is no primary", time.Minute, func() bool { return r.View().Clusters[0].Primary == "" })
	r.Await("all writers wait", time.Minute, func() bool { return r.Metrics()["pgrouter_pool_waiting"] == clients })
	told := load.Total().Errors[refused]
	readOnly("")
	runs()
	load.Stop()
	all.Wait()
	total := load.Total()
	for code, n := range total.Errors {
		if code != refused && code != "57P01" {
			t.Errorf("%d times %s", n, code)
		}
	}
	if n := total.Errors[refused]; n != told {
		t.Errorf("%d writes that waited were answered %s", n-told, refused)
	}
	if v := verify(t, c, load); !v.Clean() {
		t.Errorf("%+v", v)
	}
	t.Logf("told before the router had looked: %v", total.Errors)
}

// writers makes a load of writes in autocommit and in transactions on the primary's door.
func writers(ctx context.Context, t *testing.T, c *testcluster.Cluster, r *testrouter.Process, clients int) *ledger.Load {
	t.Helper()
	direct, err := c.Primary().ConnectTo(ctx, testcluster.DefaultDatabase)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(ctx)
	if err := ledger.Prepare(ctx, direct, 100); err != nil {
		t.Fatal(err)
	}
	load, err := ledger.New(ledger.Config{
		WriteDSN: c.DSN(r.Write, "app", "app"), Clients: clients, Rate: 400, Subscribers: 100, Timeout: 90 * time.Second,
		Mix: ledger.Mix{Register: 40, Record: 40, Call: 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	return load
}
