package system

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// crowdSize is how many clients the test of that name brings.
var crowdSize = flag.Int("crowd", 1000, "how many clients come, idle, query once and go; max_clients is 10000")

// crowdLogin is how they prove who they are. SCRAM takes the clients ten times as long, which are under the race detector.
var crowdLogin = flag.String("crowd-login", "md5", "how the crowd logs in")

const (
	crowdServers = 20      // the pool they share
	crowdDoors   = 32      // how many of them log in, or query, at once
	idleClient   = 8 << 10 // bytes of heap and stack that an idle client may cost; it is a quarter of that
	keptMemory   = 4 << 20 // bytes that may be kept when all have gone, garbage included
)

// TestACrowdComesAndGoes lets clients log in, idle, query once and go, twice. Afterwards the router has what it had before, but for
// memory that was of use in between.
func TestACrowdComesAndGoes(t *testing.T) {
	t.Setenv("GOGC", "20") // so that what is measured is mostly not garbage
	c := sharedCluster(t)
	r := testrouter.Start(t, c, testrouter.Options{Size: crowdServers, Loops: 2, Login: *crowdLogin})
	before := atRest(r)
	empty := memory(r)
	first := crowd(t, c, r)
	between := atRest(r)
	second := crowd(t, c, r)
	after := atRest(r)
	kept := memory(r) - empty
	t.Logf("%d clients: an idle one costs %d bytes, in the second crowd %d; %d bytes are kept; at rest %+v", *crowdSize, first, second, kept, after)
	if !before.as(between) || !before.as(after) {
		t.Errorf("before: %+v, between: %+v, after: %+v", before, between, after)
	}
	if first > idleClient || second > idleClient || kept > keptMemory {
		t.Errorf("an idle client may cost %d bytes, and %d may be kept", idleClient, keptMemory)
	}
	m := r.Metrics()
	for _, name := range []string{"pgrouter_pool_faults_total", "pgrouter_server_messages_unexpected_total", "pgrouter_pool_protocol_violations_total"} {
		if v, ok := m[name]; v != 0 || !ok {
			t.Errorf("%s is %v", name, v)
		}
	}
}

// crowd brings the clients, and returns how much memory the router needs for each of them while they idle.
func crowd(t *testing.T, c *testcluster.Cluster, r *testrouter.Process) (bytesEach int64) {
	t.Helper()
	empty := memory(r)
	clients := make([]*pgconn.PgConn, *crowdSize)
	each(t, func(i int) error {
		conn, err := pgconn.Connect(context.Background(), c.DSN(r.Write, testcluster.AppUser, testcluster.DefaultDatabase))
		clients[i] = conn
		return err
	})
	if got := r.Metrics()["pgrouter_clients"]; got != float64(*crowdSize) {
		t.Errorf("%v clients are here", got)
	}
	bytesEach = (memory(r) - empty) / int64(*crowdSize)
	each(t, func(i int) error {
		got, err := query(clients[i], fmt.Sprintf("select %d", i))
		if err == nil && got != strconv.Itoa(i) {
			err = errors.New("the answer is another's: " + got)
		}
		return err
	})
	each(t, func(i int) error { return clients[i].Close(context.Background()) })
	return bytesEach
}

// each does something for every client, as many at once as there are doors.
func each(t *testing.T, do func(i int) error) {
	t.Helper()
	errs := make(chan error, crowdDoors)
	var doors sync.WaitGroup
	for door := range crowdDoors {
		doors.Go(func() {
			var err error
			for i := door; i < *crowdSize && err == nil; i += crowdDoors {
				if err = do(i); err != nil {
					err = fmt.Errorf("client %d: %w", i, err)
				}
			}
			errs <- err
		})
	}
	doors.Wait()
	for range crowdDoors {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

// memory returns how much of the heap and of stacks is in use, garbage of the last moments included.
func memory(r *testrouter.Process) int64 {
	m := r.Metrics()
	return int64(m["go_memstats_heap_alloc_bytes"] + m["go_memstats_stack_inuse_bytes"])
}

// rest is what a router has that nobody uses. Its server connections, up to the size of the pool, are not counted.
type rest struct{ clients, waiting, goroutines, descriptors int }

// as says whether nothing of a crowd has stayed. A look at the metrics runs some goroutines itself.
func (r rest) as(other rest) bool {
	const ofMetrics = 10
	grown := other.goroutines - r.goroutines
	return r.clients == other.clients && r.waiting == other.waiting && r.descriptors == other.descriptors && grown < ofMetrics
}

// atRest waits until nobody is here and things do not change any more.
func atRest(r *testrouter.Process) (now rest) {
	const often = 20
	same := 0
	r.Await("nothing changes any more", time.Minute, func() bool {
		m := r.Metrics()
		seen := rest{
			clients: int(m["pgrouter_clients"]), waiting: int(m["pgrouter_pool_waiting"]), goroutines: int(m["go_goroutines"]),
			descriptors: r.Descriptors() - int(m["pgrouter_pool_servers"]),
		}
		same++
		if !seen.as(now) || !now.as(seen) {
			now, same = seen, 0
		}
		return seen.clients == 0 && same > often
	})
	return now
}
