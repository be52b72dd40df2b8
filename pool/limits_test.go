package pool

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
)

// tenants is a world with a queue for each of two databases and two users.
type tenants struct {
	*world
	queues []*Queue
	limits Limits
	cfg    Config
	ranks  int
}

func newTenants(t failer, limits Limits, cfg Config) *tenants {
	m := &tenants{world: newWorld(t, routing.Any, 1, cfg), limits: limits, cfg: cfg}
	m.pool.SetLimits(limits)
	for _, database := range []string{"db", "other"} {
		for _, user := range []string{"u", "v"} {
			key := m.queue.key
			key.Database, key.User = database, user
			m.queues = append(m.queues, m.pool.Queue(key, m.queue.rules, cfg))
		}
	}
	m.publish(m.picture("a", 1, 1))
	return m
}

// clientOf adds a client of one of the queues.
func (m *tenants) clientOf(i int) *client {
	c := m.newClient(0)
	c.queue = m.queues[i]
	return c
}

// check compares the books with what there is, and looks for those who were forgotten.
func (m *tenants) check() {
	m.t.Helper()
	all, nodes := 0, map[nodeOf]int{}
	databases, users := map[string]int{}, map[string]int{}
	for _, q := range m.pool.allQueues() {
		q.mu.Lock()
		if err := q.checkLocked(); err != nil {
			m.t.Fatalf("%v", err)
		}
		for _, sh := range q.mu.shelves {
			n := sh.live()
			all += n
			nodes[nodeOf{testCluster, sh.node}] += n
			databases[q.key.Database] += n
			users[q.key.User] += n
			if sh.short != nil && q.mu.line.n == 0 {
				m.t.Fatalf("a queue in which nobody waits looks for room")
			}
		}
		q.mu.Unlock()
	}
	paid := 0
	for _, task := range m.tasks[0] {
		if _, ok := task.(*arrival); ok {
			paid++
		}
	}
	l := &m.pool.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range m.dials {
		if d.paid {
			paid++
		}
	}
	if l.mu.all.used != all+paid {
		m.t.Fatalf("the books say %d connections, there are %d and %d on their way", l.mu.all.used, all, paid)
	}
	if paid == 0 {
		m.compare(nodes, databases, users)
	}
	for _, sh := range l.mu.hungry {
		if sh.short.room() && !l.freed.Load() && len(m.dials) == 0 { // a dial under way passes the turn on
			m.t.Fatalf("there is room, and who waits for it was not told")
		}
	}
	if int(l.hunger.Load()) != len(l.mu.hungry) {
		m.t.Fatalf("%d hunger, %d are counted", len(l.mu.hungry), l.hunger.Load())
	}
}

func (m *tenants) compare(nodes map[nodeOf]int, databases, users map[string]int) {
	m.t.Helper()
	l := &m.pool.limits
	for n, b := range l.mu.nodes {
		if b.used != nodes[n] {
			m.t.Fatalf("the books say %d connections to %s, there are %d", b.used, n.node, nodes[n])
		}
	}
	for name, b := range l.mu.databases {
		if b.used != databases[name] {
			m.t.Fatalf("the books say %d connections to %s, there are %d", b.used, name, databases[name])
		}
	}
	for name, b := range l.mu.users {
		if b.used != users[name] {
			m.t.Fatalf("the books say %d connections of %s, there are %d", b.used, name, users[name])
		}
	}
}

// within checks that no limit is exceeded, when none has been lowered.
func (m *tenants) within() {
	l := &m.pool.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	check := func(what string, b *budget) {
		if b.limit > 0 && b.used > b.limit {
			m.t.Fatalf("%d connections %s, the limit is %d", b.used, what, b.limit)
		}
	}
	check("in all", &l.mu.all)
	for n, b := range l.mu.nodes {
		check("to "+string(n.node), b)
	}
	for name, b := range l.mu.databases {
		check("to "+name, b)
	}
	for name, b := range l.mu.users {
		check("of "+name, b)
	}
}

func TestNoLimitIsExceededAndNobodyIsForgottenUnderOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := func(name string) int { return rapid.SampledFrom([]int{0, 1, 2, 3}).Draw(t, name) }
		cfg := Defaults()
		cfg.Size, cfg.MinSize = rapid.IntRange(1, 3).Draw(t, "size"), rapid.IntRange(0, 1).Draw(t, "min size")
		cfg.ReserveSize = rapid.IntRange(0, 1).Draw(t, "reserve")
		cfg.MaxDatabase, cfg.MaxUser = limit("database"), limit("user")
		m := newTenants(t, Limits{Total: limit("all"), Node: limit("node")}, cfg)
		for i := range 8 {
			m.clientOf(i % len(m.queues))
		}
		lowered := false
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {
				m.check()
				if !lowered {
					m.within()
				}
			},
			"acquire": func(t *rapid.T) { m.stepAcquire(t) },
			"more":    func(t *rapid.T) { m.stepAcquire(t) },
			"release": func(t *rapid.T) { m.stepRelease(t) },
			"give up": func(t *rapid.T) { rapid.SampledFrom(m.clients).Draw(t, "client").giveUp() },
			"dial":    func(t *rapid.T) { m.stepDial(t) },
			"dials":   func(t *rapid.T) { m.stepDial(t) },
			"task":    func(*rapid.T) { m.runTask(0) },
			"time": func(t *rapid.T) {
				m.elapse(rapid.SampledFrom([]time.Duration{time.Millisecond, 2 * time.Second, 6 * time.Second, time.Hour}).Draw(t, "time"))
				if rapid.Bool().Draw(t, "sweep") {
					m.sweep()
				}
			},
			"death": func(t *rapid.T) { m.stepDeath(t) },
			"limits": func(t *rapid.T) {
				lowered = true
				m.pool.SetLimits(Limits{Total: limit("all"), Node: limit("node")})
			},
			"door": func(t *rapid.T) {
				if m.isPaused() {
					m.unpause("")
				} else {
					m.pause("", rapid.SampledFrom([]time.Duration{time.Minute, 24 * time.Hour}).Draw(t, "limit"))
				}
			},
		})
		m.rest()
	})
}

func (m *tenants) stepAcquire(t *rapid.T) {
	c := rapid.SampledFrom(m.clients).Draw(t, "client")
	if !free(c) {
		t.Skip("not free")
	}
	m.ranks++
	c.rank = m.ranks
	c.acquire()
}

func (m *tenants) stepRelease(t *rapid.T) {
	c := rapid.SampledFrom(m.clients).Draw(t, "client")
	if !has(c) {
		t.Skip("has none")
	}
	c.release(rapid.SampledFrom([]Outcome{Clean, Clean, Broken}).Draw(t, "outcome"))
}

func (m *tenants) stepDial(t *rapid.T) {
	if len(m.dials) == 0 {
		t.Skip("no dial")
	}
	i := rapid.IntRange(0, len(m.dials)-1).Draw(t, "dial")
	if rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
		m.dialFails(i, temporary())
	} else {
		m.dialOK(i)
	}
}

func (m *tenants) stepDeath(t *rapid.T) {
	for _, x := range m.wires {
		if !x.closed && !x.dead && rapid.Bool().Draw(t, "this") {
			m.kill(x)
			return
		}
	}
	t.Skip("no connection")
}

// rest lets everybody who waits be served in the end: who has a server gives it back, the others get theirs in time.
func (m *tenants) rest() {
	m.unpause("")
	for round := 0; ; round++ {
		if round > 200 {
			m.t.Fatalf("somebody waits for ever")
		}
		m.elapse(5 * time.Second)
		m.pool.sweep()
		m.dialAll()
		m.check()
		busy := false
		for _, c := range m.clients {
			busy = busy || !free(c)
			if has(c) {
				c.release(Clean)
				m.check()
			}
		}
		if !busy {
			return
		}
	}
}

func TestAnIdleConnectionMakesRoomForWhoNeedsOne(t *testing.T) {
	for _, of := range []scope{scopeAll, scopeNode, scopeDatabase, scopeUser} {
		t.Run(of.String(), func(t *testing.T) {
			m, rich, poor := scarce(t, of, 1)
			rich.acquire()
			m.dialAll()
			rich.release(Clean)
			poor.acquire()
			m.dialAll()
			if !has(poor) {
				t.Fatalf("the client of the other queue waits: %v", poor.refused)
			}
			if n := m.closedIn(rich.home(), closedEvicted); n != 1 {
				t.Errorf("%d connections made room", n)
			}
			m.check()
			m.within()
		})
	}
}

// scarce is a world in which one limit is n, and a client of each of two queues that share it. The route has one node.
func scarce(t failer, of scope, n int) (m *tenants, rich, poor *client) {
	cfg := Defaults()
	var l Limits
	switch of {
	case scopeNode:
		l.Node = n
	case scopeDatabase:
		cfg.MaxDatabase = n
	case scopeUser:
		cfg.MaxUser = n
	default:
		l.Total = n
	}
	m = newTenants(t, l, cfg)
	snap := m.picture("a", 1, 1)
	snap.Nodes = snap.Nodes[:1]
	m.publish(snap)
	other := 1 // the same database
	if of == scopeUser {
		other = 2
	}
	return m, m.clientOf(0), m.clientOf(other)
}

func (w *world) closedIn(q *Queue, why closeReason) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int(q.mu.count.closed[why])
}

func TestAConnectionThatComesBackMakesRoomForWhoHasWaited(t *testing.T) {
	m, rich, poor := scarce(t, scopeAll, 1)
	rich.acquire()
	m.dialAll()
	poor.acquire()
	m.dialAll()
	if has(poor) {
		t.Fatal("two connections where one is allowed")
	}
	if why, _ := poor.home().Waiting(&poor.waiter); why != event.HoldLimit {
		t.Errorf("it waits because of %s", why)
	}
	rich.release(Clean)
	m.dialAll()
	if !has(poor) {
		t.Fatal("the connection that came back did not make room")
	}
}

// TestClientsOfOneQueueDoNotKeepOthersOutForEver: where there is always somebody who would use a connection that comes back, who
// has waited longest under the limit comes first, after a second.
func TestClientsOfOneQueueDoNotKeepOthersOutForEver(t *testing.T) {
	m, rich, poor := scarce(t, scopeAll, 1)
	next := m.clientOf(0)
	rich.acquire()
	m.dialAll()
	poor.acquire()
	m.dialAll()
	m.elapse(500 * time.Millisecond)
	next.acquire()
	rich.release(Clean)
	m.dialAll()
	if !has(next) {
		t.Fatal("a connection was given up although nobody had waited for long")
	}
	rich.acquire()
	m.dialAll()
	m.elapse(time.Second)
	next.release(Clean)
	m.dialAll()
	if !has(poor) {
		t.Fatal("who has waited longest under the limit was passed over")
	}
}

func TestAFreedPlaceGoesToTheEldestAlthoughAYoungerDialIsUnderWay(t *testing.T) {
	m, rich, elder := scarce(t, scopeAll, 1)
	younger := m.clientOf(2)
	rich.acquire()
	m.dialAll()
	elder.acquire()
	m.dialAll() // finds no room
	m.elapse(time.Millisecond)
	younger.acquire()
	rich.release(Broken)
	m.dialOK(0)
	m.runTasks()
	if m.check(); has(younger) {
		t.Fatal("a younger dial has overtaken")
	}
	m.dialAll()
	if !has(elder) {
		t.Fatal("the place is lost")
	}
	elder.release(Broken)
	m.dialAll()
	if m.check(); !has(younger) {
		t.Fatal("the younger is forgotten")
	}
}

// TestAPlaceThatBecomesFreeIsNotForTheYounger: even before the eldest is told of it.
func TestAPlaceThatBecomesFreeIsNotForTheYounger(t *testing.T) {
	m, rich, elder := scarce(t, scopeAll, 1)
	rich.acquire()
	m.dialAll()
	elder.acquire()
	m.dialAll()
	l, sh := &m.pool.limits, rich.home().mu.nodes[0]
	l.giveBack(&sh.purse)
	if l.take(&sh.purse, m.time+1) == nil || l.take(&sh.purse, elder.waiter.since) != nil {
		t.Error("it goes by the time of asking")
	}
}

func TestMinSizeIsKeptWarmWhileThereIsAClient(t *testing.T) {
	cfg := Defaults()
	cfg.Size, cfg.MinSize = 5, 2
	w := newWorld(t, routing.Primary, 1, cfg)
	w.publish(w.picture("a", 1, 1))
	w.dialAll()
	count := func() int { return w.queue.liveIn(stateIdle) }
	if count() != 2 {
		t.Fatalf("%d connections were opened ahead", count())
	}
	w.elapse(cfg.IdleTimeout + time.Second)
	w.pool.sweep()
	if count() != 2 {
		t.Errorf("idle_timeout has closed some of them: %d are left", count())
	}
	w.publish(w.picture("b", 1, 2)) // a failover
	w.dialAll()
	if count() != 2 {
		t.Errorf("%d connections to the new primary", count())
	}
	w.queue.Leave()
	w.elapse(cfg.IdleTimeout + time.Second)
	w.pool.sweep()
	w.dialAll()
	w.pool.sweep()
	if n := len(w.pool.allQueues()); n != 0 {
		t.Errorf("without clients the queue stays, with %d connections", count())
	}
}

func TestTheReserveIsForWhoHasWaited(t *testing.T) {
	cfg := Defaults()
	cfg.Size, cfg.ReserveSize, cfg.ReserveTimeout = 1, 1, 3*time.Second
	w := newWorld(t, routing.Primary, 1, cfg)
	w.publish(w.picture("a", 1, 1))
	var c []*client
	for range 3 {
		c = append(c, w.newClient(0))
	}
	step := func(d time.Duration) string {
		w.elapse(d)
		w.pool.sweep()
		w.dialAll()
		return fmt.Sprint(has(c[0]), has(c[1]), has(c[2]))
	}
	for _, x := range c {
		x.acquire()
	}
	if got := step(time.Second); got != "true false false" {
		t.Fatal(got)
	}
	if got := step(2 * time.Second); got != "true true false" {
		t.Fatal(got)
	}
	if got := step(10 * time.Minute); got != "true true false" {
		t.Fatal(got)
	}
	smaller := cfg
	smaller.ReserveSize = 0
	w.pool.Queue(w.queue.key, w.queue.rules, smaller).Leave()
	c[0].release(Clean)
	w.runTasks()
	if has(c[2]) || w.closedIn(w.queue, closedSurplus) != 1 {
		t.Error("a connection beyond a lowered size was handed out")
	}
	c[1].release(Clean)
	w.runTasks()
	if !has(c[2]) {
		t.Error("the last one was not")
	}
}
