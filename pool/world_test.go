package pool

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// failer is what rapid.T and testing.T have in common here.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world stands in for event loops, sockets and dials, and lets them run one step at a time. Its time is its own.
type world struct {
	t       failer
	pool    *Pool
	queue   *Queue
	time    int64
	running *reactor.Loop
	loops   []*reactor.Loop
	tasks   [][]reactor.Task // by loop
	dials   []*dial
	retries []*Queue // of which a pause after a failed dial is under way
	wires   []*wire
	snap    *topology.Snapshot
	weights map[topology.NodeID]int
	vacant  int64 // since when there is no primary
	held    bool
	orders  []order // pauses in force
	rounds  int     // Reconnects
	begun   map[*dial]int
	born    map[*backend.Conn]int // in which round the connection was begun
	trouble int
	events  []event.Event
	clients []*client
	ended   bool // the loops take no tasks any more
}

// order is a pause, as the world remembers it.
type order struct {
	pause    *Pause
	database string
	until    int64
}

// wire is a fake connection.
type wire struct {
	server   *Server
	conn     *reactor.Conn // nil while detached
	detached *reactor.Detached
	loop     *reactor.Loop
	handler  reactor.Handler
	dead     bool // the peer is gone
	closed   bool // by us, or after Failed
	aborted  bool // closed by us, with all that was on its way
	gone     bool // closed behind the pool's back
	resets   int  // reset queries not answered yet
}

const testCluster = topology.ClusterID("main")

func newWorld(t failer, route routing.Route, loops int, cfg Config) *world {
	return newWorldOf(t, testKey(route), routing.Rules{}, loops, cfg)
}

func testKey(route routing.Route) Key {
	return Key{Cluster: testCluster, Route: route, Database: "db", User: "u"}
}

func newWorldOf(t failer, key Key, rules routing.Rules, loops int, cfg Config) *world {
	w := &world{t: t, time: int64(time.Hour), begun: make(map[*dial]int), born: make(map[*backend.Conn]int)}
	for range loops {
		w.loops = append(w.loops, new(reactor.Loop))
	}
	w.tasks = make([][]reactor.Task, loops)
	w.pool = newPool(Options{Verify: true, Signals: w, Events: w, Clock: func() time.Time { return time.Unix(0, w.time) }})
	w.pool.wires = w
	w.queue = w.pool.Queue(key, rules, cfg)
	return w
}

// The world as the pool's wires.

func (w *world) clock() int64            { return w.time }
func (w *world) now(*reactor.Loop) int64 { return w.time }
func (w *world) pick() *reactor.Loop     { return w.loops[0] }
func (w *world) launch(d *dial) {
	if q := d.queue; d.shelf.total() > q.mostLocked(d.shelf) {
		w.t.Fatalf("%d connections to %s, at most %d may be", d.shelf.total(), d.shelf.node, q.mostLocked(d.shelf))
	}
	w.dials = append(w.dials, d)
	w.begun[d] = w.rounds
}
func (w *world) rest(q *Queue, _ time.Duration) {
	w.retries = append(w.retries, q)
	w.pool.wg.Done()
}
func (w *world) Emit(e event.Event) { w.events = append(w.events, e) }
func (w *world) index(l *reactor.Loop) int {
	for i, x := range w.loops {
		if x == l {
			return i
		}
	}
	w.t.Fatalf("unknown loop")
	return 0
}

func (w *world) NodeTrouble(topology.ClusterID, topology.NodeID, error) { w.trouble++ }

func (w *world) post(l *reactor.Loop, t reactor.Task) bool {
	if w.ended {
		return false
	}
	i := w.index(l)
	w.tasks[i] = append(w.tasks[i], t)
	return true
}

func (w *world) mustRunOn(l *reactor.Loop, what string) {
	w.t.Helper()
	if w.running != l {
		w.t.Fatalf("%s from another loop", what)
	}
}

func (w *world) attach(l *reactor.Loop, _ *reactor.Socket, h reactor.Handler) *reactor.Conn {
	w.mustRunOn(l, "attach")
	x := &wire{conn: new(reactor.Conn), loop: l, handler: h}
	if k, ok := h.(*keeper); ok {
		x.server = (*Server)(k)
	}
	w.wires = append(w.wires, x)
	return x.conn
}

func (w *world) wireOf(c *reactor.Conn, what string) *wire {
	w.t.Helper()
	for _, x := range w.wires {
		if x.conn == c && c != nil {
			w.mustRunOn(x.loop, what)
			return x
		}
	}
	w.t.Fatalf("%s on no connection", what)
	return nil
}

func (w *world) detach(c *reactor.Conn) *reactor.Detached {
	x := w.wireOf(c, "detach")
	if x.gone {
		return nil
	}
	if x.closed {
		w.t.Fatalf("closed connection detached")
	}
	x.conn, x.detached = nil, new(reactor.Detached)
	return x.detached
}

func (w *world) adopt(l *reactor.Loop, d *reactor.Detached, h reactor.Handler) *reactor.Conn {
	w.mustRunOn(l, "adopt")
	for _, x := range w.wires {
		if x.detached == d {
			x.conn, x.detached, x.loop, x.handler = new(reactor.Conn), nil, l, h
			if x.dead {
				w.post(l, reactor.TaskFunc(func(*reactor.Loop) { w.fail(x) }))
			}
			return x.conn
		}
	}
	w.t.Fatalf("adopt of nothing")
	return nil
}

func (w *world) drop(d *reactor.Detached) {
	for _, x := range w.wires {
		if x.detached == d {
			x.closed = true
		}
	}
}

func (w *world) keep(c *reactor.Conn, h reactor.Handler) { w.wireOf(c, "keep").handler = h }
func (w *world) send(c *reactor.Conn, _ []byte)          { w.wireOf(c, "send").resets++ }
func (w *world) hangUp(c *reactor.Conn, goodBye []byte)  { w.wireOf(c, "hang up").closed = true }
func (w *world) cutOff(c *reactor.Conn)                  { w.wireOf(c, "cut off").closed = true }

func (w *world) abort(c *reactor.Conn) {
	x := w.wireOf(c, "abort")
	x.closed, x.aborted = true, true
}

// on runs f as a callback of a loop.
func (w *world) on(l *reactor.Loop, f func()) {
	former := w.running
	if former == nil {
		for _, c := range w.clients {
			c.former = c.waiter.place
		}
	}
	w.running = l
	f()
	w.running = former
}

// runTask runs the oldest task of a loop; false: there is none.
func (w *world) runTask(i int) bool {
	if len(w.tasks[i]) == 0 {
		return false
	}
	t := w.tasks[i][0]
	w.tasks[i] = w.tasks[i][1:]
	w.on(w.loops[i], func() { t.Run(w.loops[i]) })
	return true
}

func (w *world) runTasks() {
	for again := true; again; {
		again = false
		for i := range w.loops {
			again = w.runTask(i) || again
		}
	}
}

// fail lets the handler of a dead connection hear of it.
func (w *world) fail(x *wire) {
	if x.closed || x.conn == nil {
		return
	}
	x.closed = true
	w.on(x.loop, func() { x.handler.Failed(x.conn, errServerEnded) })
}

// kill ends the peer of a connection.
func (w *world) kill(x *wire) {
	x.dead = true
	w.fail(x)
}

// say lets a server send bytes.
func (w *world) say(x *wire, b []byte) {
	if !x.closed && !x.dead && x.conn != nil {
		w.on(x.loop, func() { x.handler.Received(x.conn, b) })
	}
}

// answerReset answers one reset query.
func (w *world) answerReset(x *wire, b []byte) {
	x.resets--
	w.say(x, b)
}

func resetAnswer() []byte {
	return pgwire.AppendReadyForQuery(pgwire.AppendCommandComplete(nil, "DISCARD ALL"), pgwire.StatusIdle)
}

// takeDial takes the i-th dial whose turn has come; nil if it is not wanted any more.
func (w *world) takeDial(i int) *dial {
	d := w.dials[i]
	w.dials = append(w.dials[:i], w.dials[i+1:]...)
	if !d.queue.stillWanted(d) || !d.queue.afford(d) {
		w.pool.wg.Done()
		return nil
	}
	return d
}

func (w *world) dialOK(i int) {
	if d := w.takeDial(i); d != nil {
		conn := &backend.Conn{Target: d.target}
		n := (*topology.Node)(nil)
		if w.snap != nil {
			n = w.snap.Node(d.target.Node)
		}
		conn.HotStandby = n != nil && n.Role == topology.RoleStandby
		w.born[conn] = w.begun[d]
		d.queue.dialed(d, conn)
		w.pool.wg.Done()
	}
}

func (w *world) dialFails(i int, err error) {
	if d := w.takeDial(i); d != nil {
		d.queue.dialFailed(d, err)
		w.pool.wg.Done()
	}
}

// dialAll lets all dials succeed and all servers arrive.
func (w *world) dialAll() {
	for len(w.dials) > 0 {
		w.dialOK(0)
	}
	w.runTasks()
}

// elapse lets time pass, and the pauses after failed dials end.
func (w *world) elapse(d time.Duration) {
	w.time += int64(d)
	if d < 2*w.queue.mu.cfg.DialBackoffMax {
		return
	}
	for _, q := range w.retries {
		q.retry()
	}
	w.retries = nil
}

// permanent is a server's refusal, temporary a network's.
func permanent() error {
	return &refusedDialError{&pgwire.Error{Severity: "FATAL", Code: pgwire.CodeUnknownDatabase, Message: "no such database"}}
}

type refusedDialError struct{ server *pgwire.Error }

func (e *refusedDialError) Error() string   { return e.server.Message }
func (e *refusedDialError) Temporary() bool { return false }

func temporary() error { return context.DeadlineExceeded }

// picture makes a snapshot: nodes "a" and "b" with their incarnations, all up.
func (w *world) picture(primary topology.NodeID, a, b topology.Incarnation) *topology.Snapshot {
	seq := uint64(1)
	if w.snap != nil {
		seq = w.snap.Seq + 1
	}
	s := &topology.Snapshot{Cluster: testCluster, Phase: topology.PhaseSteady, Epoch: topology.Epoch(seq), Primary: primary, LastPrimary: primary, Seq: seq}
	if primary == "" {
		s.Phase = topology.PhaseLeaderless
	}
	for _, n := range []topology.Node{{ID: "a", Incarnation: a}, {ID: "b", Incarnation: b}} {
		n.Address, n.Health, n.Role, n.SystemID, n.Timeline, n.LagKnown = string(n.ID)+":5432", topology.HealthUp, topology.RoleStandby, 7, 1, true
		const perStart = 2 // incarnations: a promotion is one more, and no other start
		n.StartedAt = time.Unix(1+int64(n.Incarnation/perStart), 0)
		if n.ID == primary {
			n.Role = topology.RolePrimary
		}
		s.Nodes = append(s.Nodes, n)
	}
	return s
}

func (w *world) publish(s *topology.Snapshot) {
	if w.snap == nil || w.snap.Primary != "" {
		w.vacant = w.time
	}
	w.snap = s
	w.pool.Publish(s)
}

// pause, unpause, undo and sweep do what the pool's do, and remember it.
func (w *world) pause(database string, limit time.Duration) *Pause {
	p := w.pool.Pause(database, limit)
	w.orders = append(w.orders, order{pause: p, database: database, until: w.time + int64(limit)})
	return p
}

func (w *world) unpause(database string) {
	w.forgetOrders(func(o order) bool { return database == "" || o.database == database })
	w.pool.Unpause(database)
}

func (w *world) undo(i int) {
	p := w.orders[i].pause
	w.forgetOrders(func(o order) bool { return o.pause == p })
	p.Undo()
}

func (w *world) sweep() {
	w.forgetOrders(func(o order) bool { return w.time >= o.until })
	w.pool.sweep()
}

func (w *world) forgetOrders(over func(order) bool) { w.orders = slices.DeleteFunc(w.orders, over) }

func (w *world) isPaused() bool {
	return slices.ContainsFunc(w.orders, func(o order) bool { return o.database == "" || o.database == w.queue.key.Database })
}

// mayServe says, by the model's own knowledge, whether a server of that target may be handed out now.
func (w *world) mayServe(t backend.Target) error {
	switch {
	case w.isPaused():
		return fmt.Errorf("paused")
	case w.held && w.queue.key.Route == routing.Primary:
		return fmt.Errorf("held")
	case w.snap == nil:
		return fmt.Errorf("nothing known")
	case t.WantStandby:
		return w.mayStandIn(t)
	}
	for _, id := range w.pool.Decide(testCluster, w.queue.key.Route, w.queue.rules).Nodes {
		if id != t.Node {
			continue
		}
		n, most := w.snap.Node(id), w.queue.rules.MaxLag.Bytes
		weight, weighed := w.weights[id]
		switch {
		case weighed && weight == 0 && w.queue.key.Route == routing.Any:
			return fmt.Errorf("of weight 0")
		case n.Incarnation != t.Incarnation:
			return fmt.Errorf("incarnation %d instead of %d", t.Incarnation, n.Incarnation)
		case most > 0 && n.Role == topology.RoleStandby && n.LagBytes > most:
			return fmt.Errorf("%d bytes behind", n.LagBytes)
		}
		return nil
	}
	return fmt.Errorf("node %s is not routed to", t.Node)
}

// mayStandIn says the same of a server that is no primary where one is asked for.
func (w *world) mayStandIn(t backend.Target) error {
	n := w.snap.Node(t.Node)
	switch {
	case !w.queue.key.ReadOnly:
		return fmt.Errorf("nobody wants it")
	case w.snap.Primary != "":
		return fmt.Errorf("%s is the primary", w.snap.Primary)
	case time.Duration(w.time-w.vacant) < w.queue.mu.cfg.NoPrimaryAfter:
		return fmt.Errorf("the primary is missing for %s only", time.Duration(w.time-w.vacant))
	case n.Role != topology.RoleStandby || n.Incarnation != t.Incarnation:
		return fmt.Errorf("node %s is another", t.Node)
	}
	return nil
}

// client is a session as the pool sees it. Everything is checked against what the client itself remembers.
type client struct {
	world   *world
	waiter  Waiter
	server  *Server
	waiting bool
	rank    int
	former  place // when the callback under way began
	refused error
	granted int
	keep    bool // does not release when cut
	cuts    int
	last    *Server // what it had before
	queue   *Queue  // where it gets servers; nil: the world's
}

// home returns the client's queue.
func (c *client) home() *Queue {
	if c.queue != nil {
		return c.queue
	}
	return c.world.queue
}

func (w *world) newClient(loop int) *client {
	c := &client{world: w}
	c.waiter = Waiter{Grantee: c, Loop: w.loops[loop]}
	w.clients = append(w.clients, c)
	return c
}

func (c *client) acquire() {
	w := c.world
	var s *Server
	var err error
	w.on(c.waiter.Loop, func() { s, err = c.home().Acquire(&c.waiter) })
	switch {
	case s != nil && err != nil:
		w.t.Fatalf("I5: a server and an error")
	case s != nil:
		c.got(s)
	case err != nil:
		c.refused = err
	default:
		c.waiting = true
	}
}

// got checks a server that was handed out.
func (c *client) got(s *Server) {
	w := c.world
	w.t.Helper()
	if err := w.mayServe(s.Conn.Target); err != nil {
		w.t.Fatalf("I4: handed out although %v", err)
	}
	if s.Retiring() {
		w.t.Fatalf("I2: handed out although it is to be closed")
	}
	for _, other := range w.clients {
		if other.server == s {
			w.t.Fatalf("I3: handed to two clients")
		}
	}
	if w.born[s.Conn] != w.rounds {
		w.t.Fatalf("I2: handed out although it is older than RECONNECT")
	}
	if s.Holder != nil {
		w.t.Fatalf("I3: it has a holder")
	}
	x := w.wireByServer(s)
	if x.loop != c.waiter.Loop || x.conn != s.IO || x.closed {
		w.t.Fatalf("a server of another loop, or a closed one")
	}
	if x.resets != 0 {
		w.t.Fatalf("I2: handed out while it was being reset")
	}
	if s.cancels != 0 {
		w.t.Fatalf("I2: handed out while a cancel may still reach it")
	}
	c.server, s.Holder, x.handler = s, c, (*clientServer)(c)
	c.granted++
}

func (w *world) wireByServer(s *Server) *wire {
	for _, x := range w.wires {
		if x.server == s {
			return x
		}
	}
	w.t.Fatalf("server without connection")
	return nil
}

func (c *client) Granted(s *Server) {
	w := c.world
	w.mustRunOn(c.waiter.Loop, "Granted")
	if !c.waiting {
		w.t.Fatalf("I5: granted to a client that does not wait")
	}
	c.waiting = false
	if c.former == placeWaiting {
		for _, other := range w.clients {
			if other.home() == c.home() && other.before(c) && other.waiter.place == placeWaiting && other.former == placeWaiting {
				w.t.Fatalf("overtaken in the line")
			}
		}
	}
	c.got(s)
}

func (c *client) before(d *client) bool {
	if c.waiter.Front != d.waiter.Front {
		return c.waiter.Front
	}
	return c.rank < d.rank
}

func (c *client) Refused(err error) {
	c.world.mustRunOn(c.waiter.Loop, "Refused")
	if !c.waiting || err == nil {
		c.world.t.Fatalf("I5: refused a client that does not wait, or without an error")
	}
	c.waiting, c.refused = false, err
}

func (c *client) Cut(s *Server, _ event.CutReason) {
	c.world.mustRunOn(c.waiter.Loop, "Cut")
	if s != c.server {
		c.world.t.Fatalf("cut off a server that it does not have")
	}
	c.cuts++
	if !c.keep {
		c.release(Broken)
	}
}

// useless loses its server before that took anything of its work.
func (c *client) useless(how Outcome) {
	c.world.on(c.waiter.Loop, c.server.Useless)
	c.release(how)
}

func (c *client) giveUp() {
	w := c.world
	var had bool
	w.on(c.waiter.Loop, func() { had = c.home().GiveUp(&c.waiter) })
	if had != c.waiting {
		w.t.Fatalf("I5: GiveUp says %v, the client waits: %v", had, c.waiting)
	}
	c.waiting = false
}

func (c *client) release(how Outcome) {
	s := c.server
	c.server, c.last = nil, s
	s.Vector = c.waiter.Vector
	s.Served = s.Served || !how.Gone()
	c.world.on(c.waiter.Loop, func() { c.home().Release(s, how) })
}

// clientServer hears the server while the client has it.
type clientServer client

func (c *clientServer) Received(*reactor.Conn, []byte) {}
func (c *clientServer) Ended(*reactor.Conn)            {}
func (c *clientServer) Blocked(*reactor.Conn)          {}
func (c *clientServer) Drained(*reactor.Conn)          {}
func (c *clientServer) Failed(conn *reactor.Conn, _ error) {
	if k := (*client)(c); k.server != nil && k.server.IO == conn {
		k.release(Broken)
	}
}
