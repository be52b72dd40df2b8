package pool

import (
	"errors"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/state"
	"github.com/pgrouter/pgrouter/topology"
)

// opened makes a world with node a as primary, and n clients on its loops in turn.
func opened(t *testing.T, loops, size, n int) (*world, []*client) {
	t.Helper()
	cfg := Defaults()
	cfg.Size = size
	w := newWorld(t, routing.Primary, loops, cfg)
	w.publish(w.picture("a", 1, 1))
	for i := range n {
		w.newClient(i % loops).rank = i
	}
	return w, w.clients
}

func (w *world) reason(c *client) event.HoldReason {
	why, _ := w.queue.Waiting(&c.waiter)
	return why
}

func (w *world) node(id topology.NodeID) NodeStats {
	for _, n := range w.queue.Stats().Nodes {
		if n.Node == id {
			return n
		}
	}
	return NodeStats{}
}

func (w *world) closedFor(r closeReason) uint64 { return w.queue.Stats().Closed[r].Count }

func TestTheOldestWaiterGetsTheServerAndFrontGoesAhead(t *testing.T) {
	w, c := opened(t, 1, 1, 4)
	c[3].waiter.Front = true
	for _, x := range c {
		x.acquire()
	}
	w.dialAll()
	for i, want := range []*client{c[3], c[0], c[1], c[2]} {
		if want.server == nil {
			t.Fatalf("turn %d: another client has the server", i)
		}
		want.release(Clean)
	}
	if got := w.node("a"); got.Idle != 1 || w.queue.Stats().DialsOK != 1 {
		t.Errorf("afterwards %+v", got)
	}
}

func TestEachWaiterHasAtMostOneDialAndNoMoreThanSizeAreOpen(t *testing.T) {
	w, c := opened(t, 1, 3, 5)
	for i, want := range []int{1, 2, 3, 3, 3} {
		c[i].acquire()
		if got := len(w.dials); got != want {
			t.Fatalf("%d clients wait, %d connections are being opened, want %d", i+1, got, want)
		}
	}
	if why := w.reason(c[0]); why != event.HoldExhausted {
		t.Errorf("the reason to wait is %s", why)
	}
}

func TestADialThatNobodyWaitsForIsNotMade(t *testing.T) {
	w, c := opened(t, 1, 3, 2)
	c[0].acquire()
	c[1].acquire()
	c[0].giveUp()
	c[1].giveUp()
	w.dialAll()
	if got := w.queue.Stats(); got.DialsOff != 2 || got.DialsOK != 0 || w.node("a").Dialing != 0 {
		t.Errorf("%+v", got)
	}
}

func TestWaitersKeepTheirPlaceThroughAHold(t *testing.T) {
	w, c := opened(t, 1, 1, 3)
	c[0].acquire()
	w.dialAll()
	w.held = true
	w.pool.Hold(testCluster, event.HoldSwitchover)
	c[1].acquire()
	c[2].acquire()
	c[0].release(Clean)
	w.runTasks()
	if why := w.reason(c[1]); why != event.HoldSwitchover || w.node("a").Idle != 1 || c[1].server != nil {
		t.Fatalf("while held: reason %s, %+v", why, w.node("a"))
	}
	w.time += int64(3 * time.Second)
	w.held = false
	w.pool.Resume(testCluster)
	w.runTasks()
	if c[1].server == nil || c[2].server != nil {
		t.Fatal("after the hold the oldest waiter is not served first")
	}
	var kinds []event.Event
	for _, e := range w.events {
		if e.Reason == event.HoldSwitchover.String() {
			kinds = append(kinds, e)
		}
	}
	if len(kinds) != 2 || kinds[0].Kind != event.PoolHeld || kinds[1].Kind != event.PoolReleased || kinds[1].Count != 2 || kinds[1].Took != 3*time.Second {
		t.Errorf("events %+v", kinds)
	}
}

func TestPausingOneDatabaseHoldsOnlyItsQueues(t *testing.T) {
	w, c := opened(t, 1, 1, 1)
	for _, step := range []struct {
		do   func()
		want event.HoldReason
	}{
		{func() { w.pool.Pause("other", time.Hour) }, event.HoldNone},
		{func() { w.pool.Pause("db", time.Hour) }, event.HoldPaused},
		{func() { w.pool.Unpause("other") }, event.HoldPaused},
		{func() { w.pool.Unpause("db") }, event.HoldNone},
		{func() { w.pool.Pause("", time.Hour) }, event.HoldPaused},
		{func() { w.pool.Unpause("") }, event.HoldNone},
	} {
		step.do()
		if got := w.queue.Stats().Hold; got != step.want {
			t.Fatalf("hold is %s, want %s", got, step.want)
		}
	}
	c[0].acquire()
	w.dialAll()
	if c[0].server == nil {
		t.Error("nobody is served after the pauses")
	}
}

func TestHoldIsForTheRoutePrimaryOnly(t *testing.T) {
	w, _ := opened(t, 1, 1, 0)
	other := w.pool.Queue(Key{Cluster: testCluster, Route: routing.Any, Database: "db", User: "u"}, routing.Rules{}, Defaults())
	w.pool.Hold(testCluster, event.HoldSwitchover)
	if a, b := w.queue.Stats().Hold, other.Stats().Hold; a != event.HoldSwitchover || b != event.HoldNone {
		t.Errorf("primary %s, any %s", a, b)
	}
}

func TestANewLifeOfTheNodeRetiresItsConnections(t *testing.T) {
	w, c := opened(t, 1, 3, 3)
	for _, x := range c {
		x.acquire()
	}
	w.dialAll()
	c[0].release(Clean)
	kept := c[1].server
	w.publish(w.picture("a", 2, 1))
	w.runTasks()
	if got := w.node("a"); got.Idle != 0 || got.Linked != 2 || got.Retiring != 2 || !kept.Retiring() {
		t.Fatalf("after the new life: %+v", got)
	}
	c[1].release(Clean)
	c[2].release(Dirty)
	if got := w.node("a"); got.Linked != 0 || got.Idle != 0 || got.Resetting != 0 || w.closedFor(closedStale) != 3 {
		t.Errorf("after the releases: %+v", got)
	}
}

func TestADoubtfulPrimaryHoldsButKeepsItsConnections(t *testing.T) {
	w, c := opened(t, 1, 1, 1)
	c[0].acquire()
	w.dialAll()
	c[0].release(Clean)
	w.publish(w.picture("", 1, 1))
	c[0].acquire()
	if why := w.reason(c[0]); why != event.HoldNoPrimary || w.node("a").Idle != 1 {
		t.Fatalf("reason %s, %+v", why, w.node("a"))
	}
	w.publish(w.picture("a", 1, 1))
	w.runTasks()
	if c[0].server == nil || w.queue.Stats().DialsOK != 1 {
		t.Error("the old connection is not used again")
	}
}

func TestAnotherPrimaryServesWhoWaits(t *testing.T) {
	w, c := opened(t, 1, 2, 3)
	for _, x := range c {
		x.acquire()
	}
	w.dialAll()
	old := c[0].server
	w.publish(w.picture("", 1, 1))
	w.publish(w.picture("b", 2, 2))
	w.dialAll()
	if c[2].server == nil || c[2].server.Node() != "b" || c[2].server.Incarnation() != 2 {
		t.Fatal("the waiter is not served by the new primary")
	}
	c[0].release(Clean)
	if old.state != stateClosed {
		t.Error("a connection to the old primary is kept")
	}
}

func TestALateSnapshotIsIgnored(t *testing.T) {
	w, _ := opened(t, 1, 1, 0)
	old := w.snap
	w.publish(w.picture("", 1, 1))
	w.pool.Publish(old)
	if got := w.queue.Stats().Hold; got != event.HoldNoPrimary {
		t.Errorf("hold is %s", got)
	}
}

func TestTheServersRefusalReachesEveryWaiterUnlessAConnectionLives(t *testing.T) {
	w, c := opened(t, 1, 3, 3)
	c[0].acquire()
	c[1].acquire()
	w.dialFails(0, permanent())
	w.runTasks()
	var refused *refusedDialError
	for _, x := range c[:2] {
		if !errors.As(x.refused, &refused) || x.waiting {
			t.Fatalf("not refused: %v", x.refused)
		}
	}
	c[2].acquire()
	if !errors.As(c[2].refused, &refused) {
		t.Fatal("during the pause a newcomer waits for the same refusal")
	}
	if w.trouble != 0 {
		t.Error("a refusal is no trouble of the node's")
	}
	w.dialAll() // the second one was for somebody who has been refused
	w.elapse(10 * time.Second)
	c[2].acquire()
	w.dialAll()
	c[1].acquire()
	w.dialFails(0, permanent())
	w.runTasks()
	if !c[1].waiting {
		t.Fatal("refused although a connection lives")
	}
	c[2].release(Clean)
	if c[1].server == nil {
		t.Error("not served by the one that lives")
	}
}

func TestFailedDialsBackOffUntilTheNodeHasAnotherLife(t *testing.T) {
	w, c := opened(t, 1, 3, 2)
	c[0].acquire()
	c[1].acquire()
	w.dialFails(0, temporary())
	w.dialFails(0, temporary()) // its turn came after the failure: not even tried
	if len(w.dials) != 0 || w.reason(c[0]) != event.HoldDialFailing || w.trouble != 1 || len(w.retries) != 1 || w.queue.Stats().DialsOff != 1 {
		t.Fatalf("%d dials, %s, %d troubles, %d pauses", len(w.dials), w.reason(c[0]), w.trouble, len(w.retries))
	}
	w.elapse(10 * time.Second)
	if len(w.dials) != 1 {
		t.Fatalf("%d dials try whether the node is back", len(w.dials))
	}
	w.dialFails(0, temporary())
	w.publish(w.picture("a", 2, 1))
	if len(w.dials) != 2 {
		t.Fatalf("%d dials to the new life", len(w.dials))
	}
	w.dialAll()
	if c[0].server == nil || c[1].server == nil {
		t.Error("not served")
	}
}

func TestOneDialThatSucceedsAfterFailuresLetsTheOthersFollow(t *testing.T) {
	w, c := opened(t, 1, 3, 3)
	for _, x := range c {
		x.acquire()
	}
	for len(w.dials) > 0 {
		w.dialFails(0, temporary())
	}
	w.elapse(10 * time.Second)
	w.dialOK(0)
	w.runTasks()
	if c[0].server == nil || len(w.dials) != 2 {
		t.Fatalf("served: %v, %d dials follow", c[0].server != nil, len(w.dials))
	}
}

func TestAllIsTakenOnlyWhereNoConnectionIsMissing(t *testing.T) {
	w, c := opened(t, 1, 2, 3)
	waiting := func() (event.HoldReason, error) { return w.queue.Waiting(&c[2].waiter) }
	for _, x := range c {
		x.acquire()
	}
	if why, trouble := waiting(); why != event.HoldExhausted || trouble != nil {
		t.Errorf("while connections are opened: %s, %v", why, trouble)
	}
	w.dialOK(0)
	w.runTasks()
	w.dialFails(0, temporary())
	if why, trouble := waiting(); why != event.HoldExhausted || trouble == nil {
		t.Errorf("while a second cannot be opened: %s, %v", why, trouble)
	}
	w.elapse(10 * time.Second)
	w.dialAll()
	if why, trouble := waiting(); why != event.HoldExhausted || trouble != nil {
		t.Errorf("while both are taken: %s, %v", why, trouble)
	}
	c[0].release(Broken)
	c[1].release(Broken)
	w.dialFails(0, temporary())
	if why, trouble := waiting(); why != event.HoldDialFailing || trouble == nil {
		t.Errorf("while none can be opened: %s, %v", why, trouble)
	}
}

func TestPausesDoubleUpToTheirLimit(t *testing.T) {
	cfg := Config{DialBackoffMin: 50 * time.Millisecond, DialBackoffMax: 2 * time.Second}
	sh, now := &shelf{}, int64(0)
	for _, milliseconds := range []int{50, 100, 200, 400, 800, 1600, 2000, 2000} {
		want := time.Duration(milliseconds) * time.Millisecond
		got := sh.backOff(cfg, now)
		if got < want*9/10 || got > want*11/10 {
			t.Errorf("pause %v, want %v ±10 %%", got, want)
		}
		if sh.backOff(cfg, now) != 0 {
			t.Error("a second failure begins another pause")
		}
		now += int64(got)
	}
}

func TestTheNewestIsRefusedWhenTheLineIsFullButNotWhoGoesAhead(t *testing.T) {
	w, c := opened(t, 1, 1, 4)
	cfg := w.queue.mu.cfg
	cfg.MaxWaiters = 2
	w.pool.Queue(w.queue.key, w.queue.rules, cfg)
	c[3].waiter.Front = true
	for _, x := range c {
		x.acquire()
	}
	if !errors.Is(c[2].refused, ErrQueueFull) || c[0].refused != nil || c[3].refused != nil || w.queue.Stats().Full != 1 {
		t.Errorf("third: %v, first: %v, ahead: %v", c[2].refused, c[0].refused, c[3].refused)
	}
}

func TestASecondAcquireOfTheSameWaiterIsAFault(t *testing.T) {
	w, c := opened(t, 1, 1, 1)
	c[0].acquire()
	w.on(w.loops[0], func() {
		if s, err := w.queue.Acquire(&c[0].waiter); s != nil || !errors.Is(err, ErrHasPlace) {
			t.Errorf("got %v, %v", s, err)
		}
	})
	c[0].giveUp()
}

func TestIdleServersAreChosenByLoopThenParametersThenAge(t *testing.T) {
	w, c := opened(t, 2, 4, 4) // clients 0 and 2 on loop 0, 1 and 3 on loop 1
	plain, other := new(state.Vector), new(state.Vector)
	for i, v := range []*state.Vector{plain, plain, other, other} {
		c[i].waiter.Vector = v
		c[i].acquire()
	}
	w.dialAll()
	servers := make([]*Server, len(c))
	for i, x := range c {
		servers[i] = x.server
	}
	for _, x := range c {
		x.release(Clean)
	}
	for name, tc := range map[string]struct {
		loop   int
		vector *state.Vector
		want   *Server
	}{
		"loop and parameters":           {0, plain, servers[0]},
		"loop, whatever parameters":     {0, new(state.Vector), servers[2]},
		"loop, no wish for parameters":  {1, nil, servers[3]},
		"loop and parameters, not last": {1, plain, servers[1]},
	} {
		k := &Waiter{Loop: w.loops[tc.loop], Vector: tc.vector}
		if got := w.queue.mu.nodes[0].pick(k); got != tc.want {
			t.Errorf("%s: another server", name)
		}
	}
	k := &Waiter{Loop: new(reactor.Loop), Vector: plain}
	if got := w.queue.mu.nodes[0].pick(k); got != servers[1] {
		t.Error("no server of the loop: parameters, then age, do not decide")
	}
}

func TestAServerOfAnotherLoopIsSentOverAndKeepsItsPromise(t *testing.T) {
	w, c := opened(t, 2, 1, 2)
	c[0].acquire()
	w.dialAll()
	c[1].acquire()
	c[0].release(Clean)
	if c[1].server != nil || !c[1].waiting {
		t.Fatal("granted on the wrong loop")
	}
	w.runTasks()
	if c[1].server == nil || c[1].server.loop != w.loops[1] || w.queue.Stats().Moves != 1 {
		t.Fatal("the server has not arrived")
	}
	c[1].release(Clean)
	c[0].acquire() // the only idle one lives on loop 1
	if !c[0].waiting {
		t.Fatal("a server of another loop was handed out")
	}
	c[0].giveUp() // nobody wants it any more when it arrives
	w.runTasks()
	if got := w.node("a"); got.Idle != 1 || got.Linked != 0 {
		t.Errorf("afterwards %+v", got)
	}
}

func TestSweepClosesTheOldTheUnusedAndTheStuck(t *testing.T) {
	for name, tc := range map[string]struct {
		elapse time.Duration
		how    Outcome
		reason closeReason
	}{
		"unused":         {11 * time.Minute, Clean, closedIdle},
		"old":            {2 * time.Hour, Clean, closedLifetime},
		"stuck in reset": {6 * time.Second, Dirty, closedReset},
	} {
		t.Run(name, func(t *testing.T) {
			w, c := opened(t, 1, 2, 2)
			c[0].acquire()
			c[1].acquire()
			w.dialAll()
			c[0].release(tc.how)
			w.pool.sweep()
			if w.closedFor(tc.reason) != 0 {
				t.Fatal("closed at once")
			}
			w.time += int64(tc.elapse)
			w.pool.sweep()
			w.runTasks()
			if w.closedFor(tc.reason) != 1 || c[1].server.state != stateLinked {
				t.Fatalf("closed %+v", w.queue.Stats().Closed)
			}
			if old := tc.reason == closedLifetime; c[1].server.Retiring() != old {
				t.Errorf("the one in use retires: %v", c[1].server.Retiring())
			}
			c[1].release(Clean)
		})
	}
}

func TestAnEmptyShelfOfANodeThatIsGoneIsForgotten(t *testing.T) {
	w, c := opened(t, 1, 1, 1)
	c[0].acquire()
	w.dialAll()
	w.publish(w.picture("b", 2, 2))
	w.pool.sweep()
	if len(w.queue.Stats().Nodes) != 2 {
		t.Fatal("a shelf was forgotten while one of its servers is in use")
	}
	c[0].release(Broken)
	w.pool.sweep()
	if got := w.queue.Stats().Nodes; len(got) != 1 || got[0].Node != "b" {
		t.Errorf("shelves %+v", got)
	}
}

func TestABrokenPromiseGivesTheOldPlaceBack(t *testing.T) {
	w, c := opened(t, 2, 2, 5) // clients 0, 2 and 4 on loop 0, 1 and 3 on loop 1
	c[0].acquire()
	c[2].acquire()
	w.dialAll()
	first, second := c[0].server, c[2].server
	c[0].release(Clean)
	c[2].release(Clean)
	c[1].acquire() // promised the second
	c[3].acquire() // promised the first
	c[4].acquire()
	if !c[1].waiting || !c[3].waiting {
		t.Fatal("nothing to promise")
	}
	w.kill(w.wireByServer(second)) // before they could leave, and the older one's first
	w.kill(w.wireByServer(first))
	var line []*Waiter
	for x := w.queue.mu.line.head; x != nil; x = x.next {
		line = append(line, x)
	}
	if len(line) != 3 || line[0] != &c[1].waiter || line[1] != &c[3].waiter || line[2] != &c[4].waiter {
		t.Fatalf("%d in the line, or in another order", len(line))
	}
	w.dialAll()
	if c[1].server == nil || c[3].server == nil {
		t.Error("not served in the old order")
	}
}

func TestAServerThatItsHolderHasClosedReachesNobody(t *testing.T) {
	w, c := opened(t, 2, 1, 2)
	c[0].acquire()
	w.dialAll()
	c[1].acquire()
	w.wireByServer(c[0].server).gone = true
	c[0].release(Clean)
	w.dialAll()
	if c[1].server == nil || w.closedFor(closedBroken) != 1 {
		t.Errorf("served: %v, closed %+v", c[1].server != nil, w.queue.Stats().Closed)
	}
}

func TestQueuesHeldTogetherAreOneEvent(t *testing.T) {
	w, c := opened(t, 1, 1, 1)
	key := w.queue.key
	key.Database = "other"
	w.pool.Queue(key, routing.Rules{}, Defaults())
	c[0].acquire()
	w.events = nil
	w.pool.Hold(testCluster, event.HoldSwitchover)
	w.pool.Hold(testCluster, event.HoldSwitchover)
	if len(w.events) != 1 || w.events[0].Kind != event.PoolHeld || w.events[0].Count != 1 || w.events[0].Cluster != "main" {
		t.Errorf("events %+v", w.events)
	}
}

func TestAServerWhoseNextLoopHasEndedIsClosed(t *testing.T) {
	w, c := opened(t, 2, 1, 2)
	c[0].acquire()
	w.dialAll()
	c[1].acquire()
	s := c[0].server
	x := w.wireByServer(s)
	w.ended = true
	c[0].release(Clean)
	if s.state != stateClosed || !x.closed || c[1].server != nil {
		t.Errorf("it is %s, its socket closed: %v", s.state, x.closed)
	}
}

func TestAConnectionThatFindsNoLoopIsClosed(t *testing.T) {
	w, c := opened(t, 1, 1, 1)
	c[0].acquire()
	script := newScript(t)
	d := w.takeDial(0)
	conn, err := script.Dial(t.Context(), d.target, w.queue.key)
	if err != nil {
		t.Fatal(err)
	}
	w.ended = true
	w.queue.dialed(d, conn)
	w.pool.wg.Done()
	if _, err := conn.Socket.Write([]byte{0}); err == nil {
		t.Error("it is open")
	}
	if got := w.node("a"); got.Dialing != 0 || len(w.dials) != 0 {
		t.Errorf("%+v, %d dials", got, len(w.dials))
	}
}

// TestWhoWantsItsLastServerGetsItIfItIsFree: although others fit better, and were used later.
func TestWhoWantsItsLastServerGetsItIfItIsFree(t *testing.T) {
	w, c := opened(t, 1, 3, 4)
	for i := range 3 {
		c[i].acquire()
	}
	w.dialAll()
	first := c[0].server
	for i := range 3 {
		c[i].release(Clean)
	}
	for _, want := range []bool{true, false} {
		c[3].waiter.Last = first.ID()
		c[3].acquire()
		if got := c[3].server == first; got != want {
			t.Fatalf("it gets its last server: %t", got)
		}
		if !want {
			break
		}
		c[3].release(Clean)
		c[1].waiter.Last = first.ID()
		c[1].acquire()
	}
}
