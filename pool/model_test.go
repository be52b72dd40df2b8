package pool

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/state"
	"github.com/pgrouter/pgrouter/topology"
)

// model drives a world by random steps. What the pool does is compared with what the clients themselves remember.
type model struct {
	*world
	ranks   int
	cancels []*Server
	vectors []*state.Vector
	lives   [2]topology.Incarnation
	counted []uint64 // by all queues there ever were, when it was last looked at
}

func TestNothingIsLostAndNobodyServedTwiceWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Defaults()
		cfg.Size = rapid.IntRange(1, 3).Draw(t, "size")
		cfg.MaxWaiters = rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "max waiters")
		cfg.ResetAlways = rapid.SampledFrom([]bool{false, false, true}).Draw(t, "reset always")
		route := rapid.SampledFrom([]routing.Route{routing.Primary, routing.Primary, routing.Any, routing.PreferReplica}).Draw(t, "route")
		key := testKey(route)
		key.ReadOnly = route == routing.Primary && rapid.Bool().Draw(t, "read-only")
		rules := routing.Rules{MaxLag: routing.LagLimit{Bytes: rapid.SampledFrom([]uint64{0, 100}).Draw(t, "max lag")}, FallbackMax: 50}
		m := &model{world: newWorldOf(t, key, rules, rapid.IntRange(1, 3).Draw(t, "loops"), cfg), lives: [2]topology.Incarnation{1, 1}}
		m.vectors = []*state.Vector{nil, new(state.Vector), new(state.Vector)}
		for i := range 7 {
			m.newClient(i % len(m.loops))
		}
		if rapid.Bool().Draw(t, "known") {
			m.publish(m.picture("a", 1, 1))
		}
		t.Repeat(map[string]func(*rapid.T){
			"":              func(*rapid.T) { m.check() },
			"acquire":       m.stepAcquire,
			"acquire more":  m.stepAcquire,
			"give up":       m.stepGiveUp,
			"release":       m.stepRelease,
			"release more":  m.stepRelease,
			"release again": m.stepReleaseAgain,
			"useless":       m.stepUseless,
			"task":          m.stepTask,
			"task more":     m.stepTask,
			"task too":      m.stepTask,
			"dial":          m.stepDial,
			"dial more":     m.stepDial,
			"dial fails":    m.stepDialFails,
			"time":          m.stepTime,
			"death":         m.stepDeath,
			"speech":        m.stepSpeech,
			"reset":         m.stepReset,
			"begin cancel":  m.stepBeginCancel,
			"end cancel":    m.stepEndCancel,
			"publish":       m.stepPublish,
			"withdraw":      m.stepWithdraw,
			"door":          m.stepDoor,
			"pause":         m.stepPause,
			"resume":        m.stepResume,
			"reconnect":     m.stepReconnect,
			"warm":          m.stepWarm,
			"ahead":         m.stepAhead,
			"vacancy":       m.stepVacancy,
			"cut":           m.stepCut,
			"move":          m.stepMove,
			"configure":     m.stepConfigure,
			"forgotten":     m.stepForgotten,
		})
		if rapid.Bool().Draw(t, "stop at once") {
			m.stop()
		} else {
			m.end()
		}
	})
}

// one draws a client that fits, nil if none does.
func (m *model) one(t *rapid.T, fits func(c *client) bool) *client {
	var some []*client
	for _, c := range m.clients {
		if fits(c) {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return rapid.SampledFrom(some).Draw(t, "client")
}

func free(c *client) bool { return !c.waiting && c.server == nil }
func has(c *client) bool  { return c.server != nil }

func (m *model) stepAcquire(t *rapid.T) {
	c := m.one(t, free)
	if c == nil {
		t.Skip("nobody is free")
	}
	m.ranks++
	c.rank = m.ranks
	c.waiter.Front = rapid.IntRange(0, 4).Draw(t, "front") == 0
	c.waiter.Vector = rapid.SampledFrom(m.vectors).Draw(t, "vector")
	c.acquire()
}

func (m *model) stepGiveUp(t *rapid.T) {
	c := rapid.SampledFrom(m.clients).Draw(t, "client")
	c.giveUp()
}

func (m *model) stepRelease(t *rapid.T) {
	c := m.one(t, has)
	if c == nil {
		t.Skip("nobody has a server")
	}
	c.release(rapid.SampledFrom([]Outcome{Clean, Clean, Clean, Dirty, Broken, Lost}).Draw(t, "outcome"))
}

// stepUseless loses a server that took nothing.
func (m *model) stepUseless(t *rapid.T) {
	c := m.one(t, has)
	if c == nil {
		t.Skip("nobody has a server")
	}
	c.useless(rapid.SampledFrom([]Outcome{Broken, Lost}).Draw(t, "outcome"))
}

// stepReleaseAgain gives back what nobody has: it must be noticed and change nothing.
func (m *model) stepReleaseAgain(t *rapid.T) {
	c := m.one(t, func(c *client) bool { return c.last != nil && (c.last.state != stateLinked || c.last.moving) })
	if c == nil {
		t.Skip("nobody can")
	}
	before, line := c.last.state, m.queue.mu.line.n
	defer func() {
		if recover() == nil {
			t.Fatalf("I6: released again, and nobody noticed")
		}
		if c.last.state != before || m.queue.mu.line.n != line {
			t.Fatalf("I6: released again, and it changed something")
		}
		m.pool.faults.Store(0)
		m.running = nil
	}()
	m.on(c.last.loop, func() { m.queue.Release(c.last, Clean) })
}

func (m *model) stepTask(t *rapid.T) {
	if !m.runTask(rapid.IntRange(0, len(m.loops)-1).Draw(t, "loop")) {
		t.Skip("nothing posted")
	}
}

func (m *model) stepDial(t *rapid.T) {
	if len(m.dials) == 0 {
		t.Skip("no dial")
	}
	m.dialOK(rapid.IntRange(0, len(m.dials)-1).Draw(t, "dial"))
}

func (m *model) stepDialFails(t *rapid.T) {
	if len(m.dials) == 0 {
		t.Skip("no dial")
	}
	err := temporary()
	if rapid.Bool().Draw(t, "for good") {
		err = permanent()
	}
	m.dialFails(rapid.IntRange(0, len(m.dials)-1).Draw(t, "dial"), err)
}

func (m *model) stepTime(t *rapid.T) {
	m.elapse(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Millisecond, 6 * time.Second, 2 * time.Hour}).Draw(t, "time"))
	if rapid.Bool().Draw(t, "sweep") {
		m.sweep()
	}
}

func (m *model) open(t *rapid.T, fits func(x *wire) bool) *wire {
	var some []*wire
	for _, x := range m.wires {
		if !x.closed && !x.dead && fits(x) {
			some = append(some, x)
		}
	}
	if len(some) == 0 {
		t.Skip("no connection")
	}
	return rapid.SampledFrom(some).Draw(t, "connection")
}

func (m *model) stepDeath(t *rapid.T) {
	m.kill(m.open(t, func(*wire) bool { return true }))
}

func (m *model) stepSpeech(t *rapid.T) {
	x := m.open(t, func(x *wire) bool { return x.resets == 0 && x.conn != nil })
	m.say(x, rapid.SampledFrom([][]byte{
		pgwire.AppendNotice(nil, &pgwire.Error{Severity: "NOTICE", Code: "00000", Message: "m"}),
		pgwire.AppendParameterStatus(nil, "TimeZone", "UTC"),
		pgwire.AppendError(nil, &pgwire.Error{Severity: "FATAL", Code: pgwire.CodeAdminShutdown, Message: "m"}),
		pgwire.AppendReadyForQuery(nil, 'I'),
		{'N', 0, 0},
	}).Draw(t, "speech"))
}

func (m *model) stepReset(t *rapid.T) {
	x := m.open(t, func(x *wire) bool { return x.resets > 0 })
	answer := resetAnswer()
	switch rapid.IntRange(0, 5).Draw(t, "answer") {
	case 0:
		answer = pgwire.AppendError(nil, &pgwire.Error{Severity: "ERROR", Code: "XX000", Message: "m"})
	case 1:
		answer = append(pgwire.AppendParameterStatus(nil, "TimeZone", "changed"), answer...)
	case 2:
		m.say(x, answer[:4])
		answer = answer[4:]
	}
	m.answerReset(x, answer)
}

func (m *model) stepBeginCancel(t *rapid.T) {
	c := m.one(t, has)
	if c == nil {
		t.Skip("nobody has a server")
	}
	m.on(c.waiter.Loop, func() {
		if !c.server.BeginCancel() {
			t.Fatalf("a server in use cannot be cancelled")
		}
	})
	m.cancels = append(m.cancels, c.server)
}

func (m *model) stepEndCancel(t *rapid.T) {
	if len(m.cancels) == 0 {
		t.Skip("no cancel")
	}
	m.endCancel(rapid.IntRange(0, len(m.cancels)-1).Draw(t, "cancel"))
}

func (m *model) endCancel(i int) {
	s := m.cancels[i]
	m.cancels = append(m.cancels[:i], m.cancels[i+1:]...)
	s.EndCancel()
}

func (m *model) stepPublish(t *rapid.T) {
	switch n := rapid.IntRange(0, 3).Draw(t, "lives"); n {
	case 0, 1:
		m.lives[n]++
	}
	old := m.snap
	snap := m.picture(rapid.SampledFrom([]topology.NodeID{"a", "b", ""}).Draw(t, "primary"), m.lives[0], m.lives[1])
	snap.Nodes[1].LagBytes = rapid.SampledFrom([]uint64{0, 80, 120}).Draw(t, "lag")
	if n := snap.Node(rapid.SampledFrom([]topology.NodeID{"", "", "a", "b"}).Draw(t, "silent")); n != nil {
		n.Health = topology.HealthDown
	}
	m.publish(snap)
	if old != nil && rapid.Bool().Draw(t, "late") {
		m.pool.Publish(old) // comes late, changes nothing
	}
}

// stepWithdraw takes the cluster out of the configuration. Whoever publishes next puts it in again, from the beginning.
func (m *model) stepWithdraw(*rapid.T) {
	m.snap, m.held, m.weights = nil, false, nil
	m.pool.Withdraw(testCluster)
}

func (m *model) stepDoor(t *rapid.T) {
	if m.held = rapid.Bool().Draw(t, "held"); m.held {
		m.pool.Hold(testCluster, event.HoldSwitchover)
	} else {
		m.pool.Resume(testCluster)
	}
}

// stepPause is one more operator. Some pauses end by themselves.
func (m *model) stepPause(t *rapid.T) {
	database := rapid.SampledFrom([]string{"db", "db", "", "other"}).Draw(t, "database")
	m.pause(database, rapid.SampledFrom([]time.Duration{time.Second, time.Hour, 24 * time.Hour}).Draw(t, "limit"))
}

// stepResume ends pauses, or takes one back.
func (m *model) stepResume(t *rapid.T) {
	if len(m.orders) == 0 {
		t.Skip("nothing is paused")
	}
	i := rapid.IntRange(0, len(m.orders)-1).Draw(t, "order")
	switch rapid.SampledFrom([]string{"one", "its database", "all"}).Draw(t, "which") {
	case "one":
		m.undo(i)
	case "its database":
		m.unpause(m.orders[i].database)
	case "all":
		m.unpause("")
	}
}

// stepReconnect lets all connections be renewed. How many are still in use is what the pool says.
func (m *model) stepReconnect(t *rapid.T) {
	database := rapid.SampledFrom([]string{"db", "db", "", "other"}).Draw(t, "database")
	linked := 0
	if database != "other" {
		m.rounds++
		linked = m.queue.liveIn(stateLinked)
	}
	if left := m.pool.Reconnect(database); left != linked {
		t.Fatalf("%d connections are left, %d are in use", left, linked)
	}
}

// stepWarm opens connections ahead, to a node that may become the primary in the same life of its postmaster, or not.
func (m *model) stepWarm(t *rapid.T) {
	most := rapid.IntRange(0, 3).Draw(t, "most")
	if n := m.pool.Warm(testCluster, rapid.SampledFrom([]topology.NodeID{"a", "b"}).Draw(t, "candidate"), most); n > most || n > 0 && !m.held {
		t.Fatalf("%d connections are opened ahead, held %v, most %d", n, m.held, most)
	}
}

// stepAhead is a switchover that has got as far as to have connections to its candidate.
func (m *model) stepAhead(t *rapid.T) {
	m.held = true
	m.pool.Hold(testCluster, event.HoldSwitchover)
	m.pool.Warm(testCluster, rapid.SampledFrom([]topology.NodeID{"a", "b"}).Draw(t, "candidate"), 3)
	m.dialAll()
}

// stepVacancy leaves the cluster without a primary for so long that a standby may stand in.
func (m *model) stepVacancy(t *rapid.T) {
	if rapid.Bool().Draw(t, "given up") {
		m.held = false
		m.pool.Resume(testCluster)
	}
	m.publish(m.picture("", m.lives[0], m.lives[1]))
	m.elapse(6 * time.Second)
	m.sweep()
}

// older counts the servers that are there and were begun before the last Reconnect.
func (m *model) older() int {
	n := 0
	for _, x := range m.wires {
		if x.server.queue == m.queue && x.server.state != stateClosed && x.server.state != stateBorn && m.born[x.server.Conn] != m.rounds {
			n++
		}
	}
	return n
}

func (m *model) stepCut(t *rapid.T) {
	for _, c := range m.clients {
		c.keep = rapid.Bool().Draw(t, "keep")
	}
	m.pool.Cut(testCluster, rapid.SampledFrom([]topology.NodeID{"a", "b"}).Draw(t, "node"), event.CutNodeGone)
}

func (m *model) stepMove(t *rapid.T) {
	c := m.one(t, free)
	if c == nil {
		t.Skip("nobody is free")
	}
	c.waiter.Loop = rapid.SampledFrom(m.loops).Draw(t, "loop")
}

func (m *model) stepConfigure(t *rapid.T) {
	cfg := Defaults()
	cfg.Size = rapid.IntRange(1, 4).Draw(t, "size")
	m.pool.Queue(m.queue.key, m.queue.rules, cfg).Leave()
	m.weights = map[topology.NodeID]int{"b": rapid.SampledFrom([]int{1, 1, 0, 3}).Draw(t, "weight")}
	m.pool.SetReads(testCluster, Reads{Weights: m.weights, SlowStart: rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "slow start")})
}

// stepForgotten leaves the queue for a moment without users. While it is being looked at, somebody may come: to stay, or to leave
// again when a connection for him is being opened. The queue is forgotten only when it had nothing and nobody came.
func (m *model) stepForgotten(t *rapid.T) {
	if slices.ContainsFunc(m.clients, func(c *client) bool { return !free(c) }) {
		t.Skip("somebody has a place or a server")
	}
	old := m.queue
	come := func() {
		if m.pool.Queue(old.key, old.rules, old.mu.cfg) != old {
			t.Fatalf("forgotten too early")
		}
	}
	old.Leave()
	seen := m.pool.unused()
	nothing := old.sweep(true)
	if !nothing {
		delete(seen, old)
	}
	comes := rapid.SampledFrom([]string{"nobody", "nobody", "one who stays", "one who leaves"}).Draw(t, "comes")
	switch comes {
	case "one who stays":
		come()
	case "one who leaves":
		come()
		m.stepAcquire(t)
		for _, c := range m.clients {
			c.giveUp()
			if has(c) {
				c.release(Clean)
			}
		}
		old.Leave()
	}
	m.pool.forget(seen)
	if comes != "one who stays" {
		m.queue = m.pool.Queue(old.key, old.rules, old.mu.cfg)
	}
	if forgotten := m.queue != old; forgotten != (nothing && comes == "nobody") {
		t.Fatalf("forgotten: %v; it had nothing: %v, and %s came", forgotten, nothing, comes)
	}
	if m.queue != old {
		m.gone(old)
	}
}

// gone checks that a forgotten queue has left nothing.
func (m *model) gone(q *Queue) {
	for _, d := range m.dials {
		if d.queue == q {
			m.t.Fatalf("a connection is being opened for a queue that is forgotten")
		}
	}
	for _, x := range m.wires {
		// One that came too late was hung up without ever having been on a shelf; to one that was retired the good-bye is on its way.
		if x.server.queue == q && !x.closed && x.server.state != stateClosed {
			m.t.Fatalf("I1: a server of a queue that is forgotten is %s, and open", x.server.state)
		}
	}
	if _, err := q.Acquire(&Waiter{Loop: m.loops[0]}); err != ErrClosed {
		m.t.Fatalf("I5: a queue that is forgotten answers %v", err)
	}
}

// total adds up what all queues have counted that there ever were.
func (m *model) total() QueueStats {
	var all QueueStats
	for _, s := range m.pool.sums() {
		all.count(s.QueueStats)
	}
	return all
}

// checkCounters checks that nothing that only grows has become less.
func (m *model) checkCounters(all QueueStats) {
	now := []uint64{
		all.Acquires, all.Grants, all.Waits, uint64(all.Waited), all.GaveUp, all.Refused, all.Full, all.DialsOK, all.DialsFailed, all.DialsOff,
		all.Moves, all.Resets, all.Violations,
	}
	for _, c := range all.Closed {
		now = append(now, c.Count)
	}
	for i, before := range m.counted {
		if now[i] < before {
			m.t.Fatalf("a counter goes back: %v, before %v", now, m.counted)
		}
	}
	m.counted = now
}

// check compares the pool with what the clients remember, after every step.
func (m *model) check() {
	q := m.queue
	q.mu.Lock()
	err := q.checkLocked()
	linked, moving, line := 0, 0, q.mu.line.n
	for _, sh := range q.mu.shelves {
		sh.eachLocked(func(s *Server) {
			if s.state == stateLinked && s.moving {
				moving++
			} else if s.state == stateLinked {
				linked++
			}
		})
	}
	q.mu.Unlock()
	if err != nil {
		m.t.Fatalf("%v", err)
	}
	have, wait, granted := 0, 0, 0
	for _, c := range m.clients {
		if c.waiting != (c.waiter.place != placeNone) {
			m.t.Fatalf("I5: the client waits: %v, the pool thinks %d", c.waiting, c.waiter.place)
		}
		if c.waiter.place == placeWaiting {
			wait++
		}
		granted += c.granted
		if why, _ := m.queue.Waiting(&c.waiter); c.waiting != (why != event.HoldNone) {
			m.t.Fatalf("I5: the client waits: %v, because of %s", c.waiting, why)
		}
		if c.server != nil {
			have++
			if c.server.state != stateLinked || c.server.moving || c.server.loop != c.waiter.Loop {
				m.t.Fatalf("I3: a client's server is %s", c.server.state)
			}
		}
	}
	if have != linked || wait != line {
		m.t.Fatalf("I3, I5: %d servers are linked, clients have %d; %d are in the line, %d wait; %d move", linked, have, line, wait, moving)
	}
	waiting, all := q.Stats().Waiting, m.total()
	if m.pool.Faults() != 0 || waiting != wait || all.Grants != uint64(granted) {
		m.t.Fatalf("%d faults; counted %d waiting and %d grants, there are %d and %d", m.pool.Faults(), waiting, all.Grants, wait, granted)
	}
	m.checkCounters(all)
	if got, want := q.outdated(), m.older(); got != want {
		m.t.Fatalf("WAIT_CLOSE waits for %d connections, %d are older", got, want)
	}
	if m.pool.Paused("db") != m.isPaused() {
		m.t.Fatalf("paused: %v", m.pool.Paused("db"))
	}
}

// end brings everything to rest: who waits is served, nothing is left behind.
func (m *model) end() {
	m.held = false
	m.pool.Resume(testCluster)
	m.unpause("")
	m.weights = nil
	m.pool.SetReads(testCluster, Reads{})
	m.publish(m.picture("b", m.lives[0], m.lives[1]))
	for round := 0; ; round++ {
		if round > 200 {
			m.t.Fatalf("somebody waits for ever")
		}
		m.elapse(6 * time.Second)
		for len(m.cancels) > 0 {
			m.endCancel(0)
		}
		m.dialAll()
		for _, x := range m.wires {
			for x.resets > 0 && !x.closed {
				m.answerReset(x, resetAnswer())
			}
		}
		m.runTasks()
		m.check()
		busy := false
		for _, c := range m.clients {
			if has(c) {
				c.release(Clean)
				m.check()
			}
			busy = busy || !free(c)
		}
		if !busy && len(m.dials) == 0 {
			break
		}
	}
	m.runTasks()
	if err := m.pool.Close(context.Background()); err != nil {
		m.t.Fatalf("%v", err)
	}
	m.closed()
}

// stop closes the pool in the middle of everything.
func (m *model) stop() {
	for len(m.dials) > 0 {
		m.dialFails(0, temporary())
	}
	for _, c := range m.clients {
		c.keep = false
	}
	busy := m.queue.liveIn(stateLinked) > 0
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := m.pool.Close(ctx); (err != nil) != busy {
		m.t.Fatalf("connections in use: %v, Close says %v", busy, err)
	}
	m.closed()
}

// closed checks what a closed pool has left: no connection is open, nobody waits.
func (m *model) closed() {
	m.runTasks()
	for _, c := range m.clients {
		if !free(c) {
			m.t.Fatalf("I10: a client is left with a server or a place")
		}
	}
	for _, x := range m.wires {
		if !x.closed {
			m.t.Fatalf("I10: a connection is left open")
		}
	}
	if _, err := m.queue.Acquire(&Waiter{Loop: m.loops[0]}); err != ErrClosed {
		m.t.Fatalf("I4: acquire after close: %v", err)
	}
	for _, sh := range m.queue.mu.shelves {
		if sh.total() != 0 {
			m.t.Fatalf("I1: %d connections to %s after close", sh.total(), sh.node)
		}
	}
}

func (q *Queue) liveIn(st serverState) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, sh := range q.mu.shelves {
		n += sh.lists[st].n
	}
	return n
}
