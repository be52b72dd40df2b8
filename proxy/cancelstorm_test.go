package proxy_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// cancelStorm is how many cancel requests the stress test sends.
var cancelStorm = flag.Int("cancels", 2000, "how many cancel requests the stress test sends")

// canceller is a client that cancels at random, its own work only.
type canceller struct {
	r    *router
	conn *pgconn.PgConn
	left *atomic.Int64 // cancel requests that are to be sent, of all clients
	id   int
	zone string // its TimeZone; "" = as all others
	sets bool   // its queries set what has to be read back
	kept string // what it has set last
	seq  int

	cancelled, answered int // of its queries that it has tried to cancel
}

const (
	longestQuery = time.Millisecond
	longestPause = 5 * longestQuery // before a cancel request: about as long as a query takes that waits for those of the others
	lifetime     = 200              // steps of a client until it connects anew
)

// TestNobodyIsCancelledWhoDidNotAskForIt lets clients share one server connection, each with queries that bear its mark. They cancel
// their own at random moments, from before it has a server to after its end, and besides while they are idle, with a wrong secret,
// and with keys of sessions that are over. Only a query that was cancelled by its own client while it ran may say so, and each answer
// must bear the mark. Afterwards nothing is left of it all. `go test ./proxy -run NobodyIsCancelled -cancels 1000000` takes longer.
func TestNobodyIsCancelledWhoDidNotAskForIt(t *testing.T) { stormOf(t, *cancelStorm, nil, false) }

// TestACancelRequestHitsNoPrelude: each client has a TimeZone of its own, so that each query is preceded by a SET of the router's. A cancel
// request ends the client's query or nothing; were the SET to end, the client would.
func TestACancelRequestHitsNoPrelude(t *testing.T) {
	stormOf(t, min(*cancelStorm, 1000), []string{"Europe/Berlin", "Asia/Tokyo", "America/Lima", "UTC", "Africa/Cairo", "Asia/Dubai"}, false)
}

// TestACancelRequestLeavesNobodyUncertain: each query sets something, so that the router asks a question of its own behind it. A request
// that could hit it is none of the client's affair: the query is done, what it has set is known, and nobody keeps the server for it. On a
// busy machine PostgreSQL's two signals for one request are so far apart that each could hit one question.
func TestACancelRequestLeavesNobodyUncertain(t *testing.T) {
	r := stormOf(t, min(*cancelStorm, 500), nil, true)
	if n := r.proxy.Pins(event.PinUncertain); n > 0 {
		t.Errorf("%d sessions were pinned", n)
	}
}

// stormOf is the storm, of so many cancel requests. The clients have these TimeZones, or all the same; their queries may set something.
func stormOf(t *testing.T, requests int, zones []string, sets bool) *router {
	t.Helper()
	r, _ := newRouter(t, withLoops(2, 1))
	before := r.atRest()
	var left atomic.Int64
	left.Store(int64(requests))
	clients := 6
	if sets { // who never waits in line is met while it runs, and while it is settled
		clients = 1
	}
	type result struct {
		*canceller
		err error
	}
	results := make(chan result, clients)
	began := time.Now()
	for id := range clients {
		c := &canceller{r: r, left: &left, id: id, sets: sets}
		if zones != nil {
			c.zone = zones[id]
		}
		go func() { results <- result{c, c.run()} }()
	}
	cancelled, answered := 0, 0
	for range clients {
		got := <-results
		if got.err != nil {
			t.Errorf("client %d: %v", got.id, got.err)
		}
		cancelled += got.cancelled
		answered += got.answered
	}
	t.Logf("%d cancel requests, %.0f a second, %d of them forwarded; %d queries were cancelled by their clients, %d were done before",
		requests, float64(requests)/time.Since(began).Seconds(), r.proxy.Forwarded(), cancelled, answered)
	if cancelled == 0 || answered == 0 || r.proxy.Forwarded() == 0 {
		t.Error("the moments were not at random")
	}
	r.await("there is no more than before", func() bool { return r.leavings().within(before) })
	if totals := r.proxy.Totals(); totals.Violations > 0 || totals.InDoubt > 0 || totals.Aborted > 0 || r.pool.Faults() > 0 {
		t.Errorf("%+v, %d faults", totals, r.pool.Faults())
	}
	return r
}

func (c *canceller) run() error {
	defer func() {
		if c.conn != nil {
			_ = c.conn.Close(context.Background())
		}
	}()
	for step := 0; c.left.Load() > 0; step++ {
		if step%lifetime == 0 {
			if err := c.connectAnew(); err != nil {
				return err
			}
		}
		if err := c.step(); err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
	}
	return nil
}

// connectAnew leaves, if it was here, and lets somebody use its old key.
func (c *canceller) connectAnew() error {
	if old := c.conn; old != nil {
		if err := old.Close(context.Background()); err != nil {
			return err
		}
		if err := c.cancel(old.PID(), old.SecretKey()); err != nil {
			return err
		}
	}
	more := ""
	if c.zone != "" {
		more = "timezone=" + c.zone
	}
	conn, err := pgconn.Connect(context.Background(), c.r.dsn(more))
	c.conn, c.kept = conn, ""
	return err
}

func (c *canceller) step() error {
	pid, secret := c.conn.PID(), c.conn.SecretKey()
	switch rand.IntN(8) {
	case 0:
		return c.undisturbed()
	case 1:
		return errors.Join(c.cancel(pid, secret), c.undisturbed())
	case 2:
		wrong := append([]byte(nil), secret...)
		wrong[0]++
		return c.during(func() error { return c.cancel(pid, wrong) }, false)
	default:
		return c.during(func() error { return c.cancel(pid, secret) }, true)
	}
}

// undisturbed runs a query that nobody may cancel.
func (c *canceller) undisturbed() error { return c.during(func() error { return nil }, false) }

// during runs a query and does something else at a random moment before or while it runs.
func (c *canceller) during(do func() error, mayEnd bool) error {
	done := make(chan error, 1)
	go func() {
		<-time.After(rand.N(longestPause))
		done <- do()
	}()
	c.seq++
	mark := fmt.Sprintf("%d.%d", c.id, c.seq)
	got, err := query(c.conn, c.marking(mark))
	if err == nil {
		c.kept = mark
	}
	switch {
	case err == nil && got != mark:
		err = fmt.Errorf("the answer is %q, not %q", got, mark)
	case err == nil && mayEnd:
		c.answered++
	case mayEnd && code(err) == "57014":
		c.cancelled++
		err = nil
	}
	return errors.Join(err, <-done)
}

// marking is a query whose answer bears a mark. One that sets something fails if that is not what it was.
func (c *canceller) marking(mark string) string {
	if !c.sets {
		return fmt.Sprintf("select '%s' from pg_sleep(%f)", mark, rand.N(longestQuery).Seconds())
	}
	pause := rand.N(longestPause).Seconds() // nobody else makes it wait
	return fmt.Sprintf("select ('it is ' || s)::int from current_setting('storm.mark', true) s where coalesce(s, '') <> '%s'; "+
		"set storm.mark to '%s'; select current_setting('storm.mark') from pg_sleep(%f)", c.kept, mark, pause)
}

// cancel sends a cancel request, and waits until the router has closed the connection without a word.
func (c *canceller) cancel(pid uint32, secret []byte) error {
	if c.left.Add(-1) < 0 {
		return nil
	}
	conn, err := net.DialTimeout("tcp", c.r.address, time.Minute)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := conn.Write(pgwire.AppendCancelRequest(nil, pid, secret)); err != nil {
		return err
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("a cancel request was answered with %d bytes, %w", n, err)
	}
	return nil
}

// leavings is what there is of a router that nobody uses.
type leavings struct{ goroutines, descriptors, clients, keys, cancels int }

// within reports whether there is nothing of what others did not leave.
func (l leavings) within(others leavings) bool {
	return l.goroutines <= others.goroutines && l.descriptors <= others.descriptors && l.clients <= others.clients && l.keys <= others.keys &&
		l.cancels <= others.cancels
}

func (r *router) leavings() leavings {
	seen := leavings{goroutines: runtime.NumGoroutine(), clients: len(r.proxy.Clients()), keys: r.proxy.Keys()}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		seen.descriptors = len(entries)
	}
	for _, q := range r.pool.Stats() {
		for _, n := range q.Nodes {
			seen.cancels += n.CancelPending
		}
	}
	return seen
}

// atRest lets one client come, query and go, so that there is a server connection, and waits until things do not change any more.
func (r *router) atRest() leavings {
	r.t.Helper()
	conn := r.connect(context.Background(), "")
	text(r.t, conn, "select 1")
	_ = conn.Close(context.Background())
	var now leavings
	same := 0
	r.await("nothing changes any more", func() bool {
		seen := r.leavings()
		if same++; seen != now {
			now, same = seen, 0
		}
		return same > 20
	})
	return now
}
