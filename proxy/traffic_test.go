package proxy_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/proxy"
)

// traffic returns what is counted for the database of the tests.
func (r *router) traffic() proxy.Traffic {
	for _, d := range r.proxy.Traffic() {
		if d.Database == "app" {
			return d.Traffic
		}
	}
	return proxy.Traffic{}
}

// since returns what has been counted since before, without times and bytes, which no test knows exactly.
func (r *router) since(before proxy.Traffic) proxy.Traffic {
	all := r.traffic().Since(before)
	all.BytesReceived, all.BytesSent, all.TransactionTime, all.QueryTime, all.WaitTime = 0, 0, 0, 0, 0
	return all
}

func TestTrafficCountsWhatIsFinished(t *testing.T) {
	r, _ := newRouter(t, withLoops(1, 1))
	before := r.traffic()
	conn, a, b := r.connect(t.Context(), ""), r.raw(t), r.raw(t)
	if diff := cmp.Diff(proxy.Traffic{ClientLogins: 3}, r.since(before)); diff != "" {
		t.Fatal(diff)
	}
	prepare := pgwire.AppendSync(pgwire.AppendParse(nil, "", "select 'mine'", nil))
	run := pgwire.AppendSync(pgwire.AppendExecute(pgwire.AppendBind(nil, "", "", nil), "", 0))
	batch := &pgconn.Batch{}
	for range 5 {
		batch.ExecParams("select 1", nil, nil, nil, nil)
	}
	for _, step := range []struct {
		name string
		do   func()
		want proxy.Traffic
	}{
		{"a query", func() { text(t, conn, "select 1") }, proxy.Traffic{ServerAssignments: 1, Transactions: 1, Queries: 1}},
		{"a failed query", func() { query(conn, "nonsense") }, proxy.Traffic{ServerAssignments: 1, Transactions: 1, Queries: 1}},
		{"two statements in one string", func() { text(t, conn, "select 1; select 2") }, proxy.Traffic{ServerAssignments: 1, Transactions: 1, Queries: 1}},
		{"a block", func() { text(t, conn, "begin"); text(t, conn, "select 1"); text(t, conn, "commit") }, proxy.Traffic{ServerAssignments: 1, Transactions: 1, Queries: 3}},
		{"an open block", func() { text(t, conn, "begin"); text(t, conn, "select 1") }, proxy.Traffic{ServerAssignments: 1, Queries: 2}},
		{"its end", func() { text(t, conn, "rollback") }, proxy.Traffic{Transactions: 1, Queries: 1}},
		{"a batch with one Sync", func() {
			if _, err := conn.ExecBatch(t.Context(), batch).ReadAll(); err != nil {
				t.Error(err)
			}
		}, proxy.Traffic{ServerAssignments: 1, Transactions: 1, Queries: 1, ClientParses: 5, ServerParses: 5, Binds: 5}},
		{"three queries at once", func() {
			q := pgwire.AppendQuery(nil, "select 1")
			a.send(append(append(append([]byte(nil), q...), q...), q...))
			a.expect("TDCZTDCZTDCZ")
		}, proxy.Traffic{ServerAssignments: 1, Transactions: 3, Queries: 3}},
		{"a statement", func() { a.send(prepare); a.expect("1Z") }, proxy.Traffic{ServerAssignments: 1, Transactions: 1, Queries: 1, ClientParses: 1, ServerParses: 1}},
		{"a stranger's", func() { b.send(prepare); b.expect("1Z") }, proxy.Traffic{ServerAssignments: 1, Transactions: 1, Queries: 1, ClientParses: 1, ServerParses: 1}},
		{"the statement, brought along", func() { a.send(run); a.expect("2DCZ") }, proxy.Traffic{ServerAssignments: 1, Transactions: 1, Queries: 1, ServerParses: 1, Binds: 1}},
		{"a Sync without anything", func() { a.send(pgwire.AppendSync(nil)); a.expect("Z") }, proxy.Traffic{ServerAssignments: 1, Transactions: 1, Queries: 1}},
	} {
		before := r.traffic()
		step.do()
		if diff := cmp.Diff(step.want, r.since(before)); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
	}
}

func TestTrafficCountsBytesOfClients(t *testing.T) {
	r, _ := newRouter(t, nil)
	p := r.raw(t)
	unit, length := pgwire.AppendQuery(nil, "select 1"), 0
	before := r.traffic()
	p.send(unit)
	for kind := byte(0); kind != pgwire.KindReadyForQuery; {
		var body []byte
		kind, body = p.message()
		length += pgwire.HeaderLen + len(body)
	}
	now := r.traffic()
	if got, want := now.BytesReceived-before.BytesReceived, uint64(len(unit)); got != want {
		t.Errorf("%d bytes received, the client has sent %d", got, want)
	}
	if got, want := now.BytesSent-before.BytesSent, uint64(length); got != want {
		t.Errorf("%d bytes sent, the client has received %d", got, want)
	}
}

func TestTrafficMeasuresQueriesTransactionsAndWaits(t *testing.T) {
	r, _ := newRouter(t, withLoops(1, 1))
	conn, other := r.connect(t.Context(), ""), r.connect(t.Context(), "")
	before := r.traffic()
	text(t, conn, "begin")
	waited := make(chan error, 1)
	go func() {
		_, err := query(other, "select 1")
		waited <- err
	}()
	r.await("the other waits", func() bool { return r.pool.Stats()[0].Waiting == 1 })
	const nap = 50 * time.Millisecond
	text(t, conn, "select pg_sleep(0.05)")
	for _, c := range r.proxy.Clients() {
		if (c.State == "waiting") != (c.Waits >= nap) {
			t.Errorf("a client that is %s waits for %s", c.State, c.Waits)
		}
	}
	busy := r.traffic()
	if got := time.Duration(busy.QueryTime - before.QueryTime); got < nap {
		t.Errorf("a query of %s took %s", nap, got)
	}
	if busy.TransactionTime != before.TransactionTime || busy.WaitTime != before.WaitTime {
		t.Errorf("what is under way is measured: %+v", busy)
	}
	text(t, conn, "commit")
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	now := r.traffic()
	if got := time.Duration(now.TransactionTime - before.TransactionTime); got < nap {
		t.Errorf("a transaction around a query of %s took %s", nap, got)
	}
	if got := time.Duration(now.WaitTime - before.WaitTime); got < nap {
		t.Errorf("a wait for a transaction of %s took %s", nap, got)
	}
	if now.TransactionTime-before.TransactionTime < now.QueryTime-busy.QueryTime+busy.QueryTime-before.QueryTime {
		t.Errorf("queries took longer than their transactions: %+v, before %+v", now, before)
	}
}

// TestTrafficFollowsItsClientsFromLoopToLoop moves them at each unit, and reads the sums meanwhile: they must not go back.
func TestTrafficFollowsItsClientsFromLoopToLoop(t *testing.T) {
	r, _ := newRouter(t, withLoops(3, 2))
	r.proxy.MoveAlways()
	const clients, each = 6, 50
	before := r.traffic()
	var work, look sync.WaitGroup
	done := make(chan struct{})
	look.Go(func() {
		for last := before; ; {
			now := r.traffic()
			if now.Queries < last.Queries || now.BytesSent < last.BytesSent || now.QueryTime < last.QueryTime {
				t.Errorf("the sums went back: %+v, then %+v", last, now)
			}
			last = now
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for i := range clients {
		conn := r.connect(t.Context(), "")
		work.Go(func() {
			for j := range each {
				if _, err := query(conn, fmt.Sprintf("select %d, %d", i, j)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	close(done)
	look.Wait()
	want := proxy.Traffic{ServerAssignments: clients * each, Transactions: clients * each, Queries: clients * each, ClientLogins: clients}
	if diff := cmp.Diff(want, r.since(before)); diff != "" {
		t.Error(diff)
	}
}

func TestLoopsThatAreGoneCountAsTheyLastSaid(t *testing.T) {
	var r *router
	var before proxy.Traffic
	t.Run("a router", func(t *testing.T) {
		r, _ = newRouter(t, nil)
		text(t, r.connect(t.Context(), ""), "select 1")
		before = r.traffic()
	})
	if now := r.traffic(); now != before || now.Queries != 1 {
		t.Errorf("%+v after the loops' end, before %+v", now, before)
	}
}

func TestDatabasesBeyondTheLimitAreCountedTogether(t *testing.T) {
	const names = proxy.TrafficDatabases + 500
	sums := proxy.CountLogins(func(login func(database string)) {
		for range 2 {
			for i := range names {
				login(fmt.Sprint("db", i))
			}
		}
	})
	all := uint64(0)
	for _, d := range sums {
		all += d.ClientLogins
	}
	if len(sums) != proxy.TrafficDatabases+1 || sums[0].Database != "" || sums[0].ClientLogins != 1000 || all != 2*names {
		t.Errorf("%d databases with %d logins, the first is %+v", len(sums), all, sums[0])
	}
}
