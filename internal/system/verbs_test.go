package system

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// holdStage is a cluster, a router and its console.
type holdStage struct {
	t       *testing.T
	cluster *testcluster.Cluster
	router  *testrouter.Process
	watch   *pgconn.PgConn
	writer  *pgconn.PgConn // has been served: the first login would wait, too
}

func newHoldStage(t *testing.T, c *testcluster.Cluster) *holdStage {
	t.Helper()
	r := testrouter.Start(t, c, testrouter.Options{})
	h := &holdStage{t: t, cluster: c, router: r, watch: open(t, c, r.Write, "pgrouter", ""), writer: open(t, c, r.Write, "app", "")}
	if _, err := query(h.writer, "select 1"); err != nil {
		t.Fatal(err)
	}
	return h
}

// verb runs a verb and compares its exit status.
func (h *holdStage) verb(want int, args ...string) string {
	h.t.Helper()
	out, status := h.router.Verb(args...)
	if status != want {
		h.t.Fatalf("%v ends with %d: %s", args, status, out)
	}
	return out
}

// write begins a statement of the writer's.
func (h *holdStage) write(sql string) chan error {
	done := make(chan error, 1)
	go func() {
		_, err := query(h.writer, sql)
		done <- err
	}()
	return done
}

// waits waits until some clients wait.
func (h *holdStage) waits() {
	h.t.Helper()
	h.router.Await("a client waits", time.Minute, func() bool {
		for _, row := range table(h.t, h.watch, "SHOW QUEUES", "route", "waiting", "hold") {
			if row[0] == "primary" && row[1] != "0" && row[2] == "ordered" {
				return true
			}
		}
		return false
	})
}

func (h *holdStage) holds() int { return len(table(h.t, h.watch, "SHOW HOLDS", "id")) }

// released waits until nothing is held.
func (h *holdStage) released() {
	h.t.Helper()
	h.router.Await("nothing is held", time.Minute, func() bool { return h.holds() == 0 })
}

func (h *holdStage) ended(done chan error) {
	h.t.Helper()
	select {
	case err := <-done:
		if err != nil {
			h.t.Error(err)
		}
	case <-time.After(time.Minute):
		h.t.Errorf("it does not go on\n%s", h.router.Tail())
	}
}

func TestAHoldLetsWritersWaitUntilItIsReleased(t *testing.T) {
	h := newHoldStage(t, sharedCluster(t))
	busy := open(t, h.cluster, h.router.Write, "app", "&application_name=report")
	for _, sql := range []string{"create table held(n int)", "begin"} {
		if _, err := query(busy, sql); err != nil {
			t.Fatal(err)
		}
	}
	out := h.verb(1, "hold", "--wait", "100ms", "--for", "5m", "--by", "the runbook")
	for _, want := range []string{"CLIENT ", "APPLICATION", "report", "new work is held until", "pgrouter release ends that"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if rows := table(t, h.watch, "SHOW HOLDS", "cluster", "id", "by"); len(rows) != 1 || strings.Join(rows[0], " ") != "main operator the runbook" {
		t.Errorf("SHOW HOLDS: %v", rows)
	}
	wrote := h.write("insert into held values (1)")
	h.waits()
	if _, err := query(busy, "commit"); err != nil {
		t.Fatal(err)
	}
	if out := h.verb(0, "hold", "--wait", "1m", "--for", "5m"); !strings.Contains(out, "nothing runs on the primary") {
		t.Error(out)
	}
	if n := h.holds(); n != 1 {
		t.Errorf("there are %d holds", n)
	}
	if out := h.verb(0, "release"); out != "1 hold(s) ended\n" {
		t.Error(out)
	}
	h.ended(wrote)
	if out := h.verb(0, "release"); out != "0 hold(s) ended\n" {
		t.Error(out)
	}
}

func TestAHoldEndsByItself(t *testing.T) {
	h := newHoldStage(t, sharedCluster(t))
	if _, err := query(h.watch, "HOLD FOR 3s"); err != nil {
		t.Fatal(err)
	}
	if _, err := query(h.writer, "create table ended(n int)"); err != nil { // it waits
		t.Fatal(err)
	}
	h.released()
}

func TestTheConsoleHoldsAndReleases(t *testing.T) {
	h := newHoldStage(t, sharedCluster(t))
	busy := open(t, h.cluster, h.router.Write, "app", "")
	if _, err := query(busy, "begin"); err != nil {
		t.Fatal(err)
	}
	if _, err := query(h.watch, "HOLD main FOR '5m' WAIT '100ms'"); code(err) != "55000" || !strings.Contains(err.Error(), "new work is held until") {
		t.Errorf("HOLD: %v", err)
	}
	if n := h.holds(); n != 1 {
		t.Errorf("there are %d holds", n)
	}
	if _, err := query(h.watch, "RELEASE main"); err != nil {
		t.Error(err)
	}
	h.released()
	if _, err := query(busy, "commit"); err != nil {
		t.Error(err)
	}
}

// peersOf lets routers know each other.
func peersOf(t *testing.T, routers ...*testrouter.Process) {
	t.Helper()
	var all []string
	for _, r := range routers {
		all = append(all, fmt.Sprintf("%q", r.Admin))
	}
	for i, r := range routers {
		others := strings.Join(append(append([]string(nil), all[:i]...), all[i+1:]...), ", ")
		r.Rewrite("pgrouter.toml", func(text string) string {
			return strings.Replace(text, "\n[auth]", "\npeers = ["+others+"]\n[auth]", 1)
		})
		if err := r.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAHoldAtOneRouterHoldsAtItsPeersAndEndsThere(t *testing.T) {
	c := sharedCluster(t)
	a, b := newHoldStage(t, c), newHoldStage(t, c)
	peersOf(t, a.router, b.router)
	for _, h := range []*holdStage{a, b} {
		h.router.Await("the peer is known", time.Minute, func() bool { return len(table(t, h.watch, "SHOW PEERS", "state")) == 1 })
	}
	busy := open(t, c, b.router.Write, "app", "&application_name=report")
	if _, err := query(busy, "create table shared(n int); begin"); err != nil {
		t.Fatal(err)
	}
	out := a.verb(1, "hold", "--wait", "5s", "--for", "5m") // the peer may take some time to answer
	if !strings.Contains(out, "ROUTER") || !strings.Contains(out, "http://"+b.router.Admin) || !strings.Contains(out, "report") {
		t.Errorf("who is busy at the peer is not told: %s", out)
	}
	if rows := table(t, b.watch, "SHOW HOLDS", "id", "by"); len(rows) != 1 || rows[0][0] != "operator" || !strings.Contains(rows[0][1], a.router.Admin) {
		t.Errorf("SHOW HOLDS of the peer: %v", rows)
	}
	if state := cell(t, a.watch, "SHOW PEERS", "state"); state != "up" {
		t.Errorf("the peer is %s", state)
	}
	if _, err := query(busy, "commit"); err != nil {
		t.Fatal(err)
	}
	here, there := a.write("insert into shared values (1)"), b.write("insert into shared values (2)")
	a.waits()
	b.waits()
	a.verb(0, "hold", "--wait", "1m", "--for", "5m")
	a.verb(0, "release")
	a.ended(here)
	b.ended(there)
	a.router.Verb("hold", "--for", "3s", "--id", "another") // if it takes longer than that it is over before it is complete
	here, there = a.write("insert into shared values (3)"), b.write("insert into shared values (4)")
	a.ended(here)
	b.ended(there)
	for _, h := range []*holdStage{a, b} {
		h.router.Await("the lease is over", time.Minute, func() bool {
			return strings.Contains(fmt.Sprint(table(t, h.watch, "SHOW EVENTS", "event", "reason")), "[hold_ended ordered: its lease is over]")
		})
		h.released()
	}
}

func TestAHoldIsToldThatAPeerDoesNotAnswer(t *testing.T) {
	h := newHoldStage(t, sharedCluster(t))
	gone := testrouter.FreeAddress(t)
	h.router.Rewrite("pgrouter.toml", func(text string) string {
		return strings.Replace(text, "\n[auth]", "\npeers = [\""+gone+"\"]\n[auth]", 1)
	})
	if err := h.router.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	h.router.Await("the peer is known", time.Minute, func() bool { return len(table(t, h.watch, "SHOW PEERS", "state")) == 1 })
	if out := h.verb(1, "hold", "--for", "5m"); !strings.Contains(out, "peer http://"+gone+": ") || !strings.Contains(out, "connection refused") {
		t.Error(out)
	}
	if n := h.holds(); n != 1 {
		t.Errorf("there are %d holds here", n)
	}
	h.router.Await("that is told", time.Minute, func() bool {
		for _, row := range table(t, h.watch, "SHOW EVENTS", "event", "from") {
			if row[0] == "peer_silent" && row[1] == "http://"+gone {
				return true
			}
		}
		return false
	})
	h.verb(0, "release")
}

func TestASwitchoverByOneRouterIsSeenByThePeersClientsAsLatency(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	a, b := newHoldStage(t, c), newHoldStage(t, c)
	knows(a.router, 2)
	knows(b.router, 2)
	peersOf(t, a.router, b.router)
	a.router.Await("the peer is known", time.Minute, func() bool { return len(table(t, a.watch, "SHOW PEERS", "state")) == 1 })
	old, next := c.Primary().Addr(), c.Standbys()[0].Addr()
	busy := open(t, c, b.router.Write, "app", "&application_name=report")
	if _, err := query(busy, "create table moved(n int); begin; insert into moved values (1)"); err != nil {
		t.Fatal(err)
	}
	out := a.verb(1, "switchover", "--within", "5s") // the peer may take some time to answer
	if !strings.Contains(out, "http://"+b.router.Admin) || !strings.Contains(out, "report") || !strings.Contains(out, "nothing was touched") {
		t.Errorf("a client of the peer's is in the way: %s", out)
	}
	if _, err := query(busy, "commit"); err != nil {
		t.Fatal(err)
	}
	moved := make(chan string, 1)
	go func() {
		out, _ := a.router.Verb("switchover", "--within", "1m")
		moved <- out
	}()
	b.router.Await("the peer has held once more", time.Minute, func() bool {
		return strings.Count(fmt.Sprint(table(t, b.watch, "SHOW EVENTS", "event")), "[hold_begun]") == 2
	})
	wrote := b.write("insert into moved values (2)")
	if out := <-moved; !strings.HasPrefix(out, next+" is the primary after ") || !strings.HasSuffix(out, "(before: "+old+")\n") {
		t.Errorf("the verb says %s", out)
	}
	b.ended(wrote)
	if n, err := query(open(t, c, b.router.Write, "app", ""), "select count(*) from moved"); err != nil || n != "2" {
		t.Errorf("%s rows, %v", n, err)
	}
	a.released()
	b.released()
}
