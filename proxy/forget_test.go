package proxy_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
)

// forgetful lets a router forget at once what nobody uses.
func forgetful(r *router) {
	r.loops, r.sweep, r.policy.Pool.IdleTimeout = 2, 100*time.Microsecond, 1
}

// visit logs a client in that has something to ask, and leaves.
func (r *router) visit(more, sql string) (got string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgconn.Connect(ctx, r.dsn(more))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	return query(conn, sql)
}

// counters reads the pool's and the proxy's counters, by name and labels.
func (r *router) counters() map[string]float64 {
	r.t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range []prometheus.Collector{r.pool.Collector(), r.proxy.Collector()} {
		if err := registry.Register(c); err != nil {
			r.t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetCounter() != nil {
				all[fmt.Sprint(f.GetName(), m.GetLabel())] = m.GetCounter().GetValue()
			}
		}
	}
	return all
}

// counted adds up the counters of one name.
func counted(all map[string]float64, name string) (sum float64) {
	for series, n := range all {
		if strings.HasPrefix(series, name) {
			sum += n
		}
	}
	return sum
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestQueuesThatNobodyUsesAreForgotten(t *testing.T) {
	const visits = 40
	r, _ := newRouter(t, forgetful)
	gone := func() bool { return len(r.proxy.Clients()) == 0 && len(r.pool.Stats()) == 0 }
	if _, err := r.visit("", "select 1"); err != nil {
		t.Fatal(err)
	}
	r.await("the first is forgotten", gone)
	goroutines, files, before := runtime.NumGoroutine(), descriptors(t), r.counters()
	for i := range visits {
		if got, err := r.visit(fmt.Sprintf("options='-c my.visit=%d'", i), "show my.visit"); err != nil || got != strconv.Itoa(i) {
			t.Fatalf("visit %d: %q, %v", i, got, err)
		}
		if _, err := r.visit(fmt.Sprintf("dbname=nowhere%d", i), ""); code(err) != "3D000" {
			t.Fatalf("an unknown database: %v", err)
		}
		now := r.counters()
		for series, n := range before {
			if now[series] < n && !strings.Contains(series, "nowhere") {
				t.Fatalf("%s goes back from %v to %v", series, n, now[series])
			}
		}
		for _, name := range []string{"pgrouter_pool_acquires_total", "pgrouter_pool_dials_total", "pgrouter_pool_closed_total"} {
			if counted(now, name) < counted(before, name) {
				t.Fatalf("the sum of %s goes back", name)
			}
		}
		before = now
	}
	r.await("all are forgotten", gone)
	r.await("nothing of them is left", func() bool { return runtime.NumGoroutine() <= goroutines && descriptors(t) <= files })
	end := r.counters()
	if n := counted(end, "pgrouter_pool_acquires_total"); n != 2*(visits+1)+visits { // a login asks once, so does a query
		t.Errorf("%v acquires were counted", n)
	}
	for series := range end {
		if strings.Contains(series, "nowhere") {
			t.Errorf("a database that no server has is counted for ever: %s", series)
		}
	}
}

// TestAForgottenPlaceIsNotInMemory: what clients of one queue share goes with it.
func TestAForgottenPlaceIsNotInMemory(t *testing.T) {
	r, _ := newRouter(t, forgetful)
	conn := r.connect(t.Context(), "options='-c my.visit=1'")
	places := r.proxy.Places()
	conn.Close(t.Context())
	r.await("it is forgotten", func() bool { return len(r.pool.Stats()) == 0 })
	r.await("it is not in memory", func() bool {
		runtime.GC()
		return !places[0]()
	})
}

// TestClientsComeAndGoWhileTheirQueuesAreForgotten: a login finds the queue that is being forgotten, or makes another; nobody waits
// for ever.
func TestClientsComeAndGoWhileTheirQueuesAreForgotten(t *testing.T) {
	const clients, visits = 4, 40
	queues := []string{"off", "no", "false"} // each spelling of what only a server's start can give has its own
	r, _ := newRouter(t, forgetful)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for j := range visits {
				want := fmt.Sprintf("%d-%d", i, j)
				got, err := r.visit(fmt.Sprintf("options='-c ignore_system_indexes=%s'", queues[rand.N(len(queues))]), "begin; select '"+want+"'; commit")
				if err != nil || got != want {
					t.Errorf("client %d got %q, %v; want %q", i, got, err, want)
					return
				}
			}
		})
	}
	all.Wait()
	r.await("all are forgotten", func() bool { return len(r.pool.Stats()) == 0 })
	asked := counted(r.counters(), "pgrouter_pool_acquires_total") - clients*visits // for greetings, which a new place does not know
	if asked <= float64(len(queues)) {
		t.Errorf("%v logins asked a server: nothing was forgotten while they came and went", asked)
	}
	if r.pool.Faults() != 0 {
		t.Errorf("%d faults", r.pool.Faults())
	}
}

// TestALoginThatFailsLeavesNoQueue: whatever it fails of.
func TestALoginThatFailsLeavesNoQueue(t *testing.T) {
	r, c := newRouter(t, forgetful)
	r.policy.LoginHoldTimeout = 0
	gone := func() bool { return len(r.proxy.Clients()) == 0 && len(r.pool.Stats()) == 0 }
	for options, want := range map[string]string{"timezone=Nowhere": "22023", "no_such_setting=1": "42704"} {
		if _, err := r.visit(options, ""); code(err) != want {
			t.Errorf("%s: %v", options, err)
		}
	}
	r.publish(c, nil)
	if _, err := r.visit("", ""); code(err) != "57P03" {
		t.Errorf("without a node: %v", err)
	}
	r.await("they are forgotten", gone)
	if _, err := r.visit("replication=true", ""); code(err) == "" {
		t.Errorf("a login for replication: %v", err)
	}
	r.await("it is forgotten, too", gone)
}

// TestAnEagerLoginFindsItsGreetingAfterEverybodyHasLeft: nobody uses the queue, and its servers are gone.
func TestAnEagerLoginFindsItsGreetingAfterEverybodyHasLeft(t *testing.T) {
	for name, tc := range map[string]struct {
		options string
		kept    bool
	}{"without options of a server's start": {"", true}, "with options of a server's start": {"options='-c ignore_system_indexes=off'", false}} {
		t.Run(name, func(t *testing.T) {
			r, c := newRouter(t, func(r *router) {
				forgetful(r)
				r.policy.EagerLogin, r.policy.LoginHoldTimeout = true, 0
			})
			if _, err := r.visit(tc.options, "select 1"); err != nil {
				t.Fatal(err)
			}
			r.await("nobody is there", func() bool { return len(r.proxy.Clients()) == 0 && r.servers() == 0 })
			if !tc.kept {
				r.await("it is forgotten", func() bool { return len(r.pool.Stats()) == 0 })
			}
			r.publish(c, nil)
			conn, err := pgconn.Connect(t.Context(), r.dsn(tc.options))
			if (err == nil) != tc.kept {
				t.Fatalf("while there is no node: %v", err)
			}
			if err == nil {
				conn.Close(t.Context())
			}
		})
	}
}
