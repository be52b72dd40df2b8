package pool

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/reactor"
)

// dial is one connection being opened.
type dial struct {
	next   *dial // in a todo
	queue  *Queue
	shelf  *shelf
	target backend.Target
	round  uint64    // of the queue's connections
	warm   bool      // for balance: nobody waits for it
	ahead  time.Time // see Server.ahead
	paid   bool      // the limits are spent already
	since  int64     // pool clock since when who waits first has done so, when its turn came
	limit  int       // dials to the node at once
}

// dialLocked counts a dial to a shelf; it must be launched.
func (q *Queue) dialLocked(sh *shelf, warm bool) *dial {
	if q.mu.closed {
		return nil
	}
	sh.dialing++
	q.pool.wg.Add(1) // closed is set under this lock before anybody waits for the group
	return &dial{queue: q, shelf: sh, target: sh.target, round: q.mu.round, warm: warm, limit: q.mu.cfg.DialParallel}
}

// runDial is the goroutine of one dial.
func (p *Pool) runDial(d *dial) {
	defer p.wg.Done()
	q := d.queue
	gate := p.gateOf(d.target.Cluster, d.target.Node)
	if err := gate.enter(p.ctx, d.limit, d.target.Incarnation); err != nil {
		q.dialDropped(d)
		return
	}
	if !q.stillWanted(d) || !q.afford(d) {
		gate.leave(dialUnmade)
		return
	}
	conn, err := p.dialer.Dial(p.ctx, d.target, q.key)
	if err == nil {
		gate.leave(dialWell)
		q.dialed(d, conn)
		return
	}
	gate.leave(resultOf(err))
	q.dialFailed(d, err)
}

// runPause is the goroutine of one pause after a failure; it tries again for who waits then.
func (p *Pool) runPause(q *Queue, pause time.Duration) {
	defer p.wg.Done()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		q.retry()
	case <-p.ctx.Done():
	}
}

// stillWanted says whether a dial that has waited for its turn is still of use; if not, it is forgotten.
func (q *Queue) stillWanted(d *dial) bool {
	now := q.pool.wires.clock()
	q.mu.Lock()
	current := !q.mu.closed && (d.shelf.eligible || q.awaitedLocked(d.ahead)) && d.target == d.shelf.target
	wanted := current && now >= d.shelf.retryAt && d.shelf.short == nil && (d.warm || q.mu.line.n > 0)
	d.since = now
	if w := q.mu.line.head; w != nil {
		d.since = w.since
	}
	q.mu.Unlock()
	if !wanted {
		q.dialDropped(d)
	}
	return wanted
}

// evictions bounds how many connections of others one dial may close: one for each scope, and as many for who was quicker.
const evictions = 2 * int(scopes)

// afford spends the limits for a dial. Where one has no room an idle connection of somebody else has to go; if there is none the dial
// is forgotten, and its shelf is told when there is room.
func (q *Queue) afford(d *dial) bool {
	if d.warm && q.pool.limits.hunger.Load() > 0 {
		q.dialDropped(d)
		return false
	}
	var short *budget
	for range evictions {
		if !d.paid {
			short = q.pool.limits.take(&d.shelf.purse, d.since)
		}
		if short == nil {
			q.pool.limits.passOn()
			q.pool.feed()
			return true
		}
		if d.warm || !q.pool.evict(short) {
			break
		}
	}
	q.dialShort(d, short)
	return false
}

// dialShort ends a dial for which a limit has no room.
func (q *Queue) dialShort(d *dial, short *budget) {
	if !d.warm {
		q.mu.Lock()
		q.starveLocked(d.shelf, short)
		q.mu.Unlock()
	}
	q.dialDropped(d)
}

// dialDropped ends a dial that was not made.
func (q *Queue) dialDropped(d *dial) {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	d.shelf.dialing--
	q.mu.count.dialOff++
	if d.paid {
		q.pool.limits.giveBack(&d.shelf.purse)
	}
	q.pool.limits.passOn()
	q.fillLocked(now, &t)
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
}

// retry opens connections for who waits, after a pause.
func (q *Queue) retry() {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	q.fillLocked(now, &t)
	q.mu.Unlock()
	q.do(&t)
}

// dialFailed notes a failure, behind which a pause begins. Who waits goes on waiting unless the server's own answer concerns this very
// user or database and nothing is left that could serve him.
func (q *Queue) dialFailed(d *dial, err error) {
	var t todo
	now := q.pool.wires.clock()
	refuses := refusesForGood(err)
	q.mu.Lock()
	sh := d.shelf
	sh.dialing--
	q.pool.limits.giveBack(&sh.purse)
	q.mu.count.dialFailed++
	first := false
	if d.target == sh.target {
		first = sh.trouble == nil
		sh.trouble, sh.refuses = err, refuses
		q.pauseLocked(sh, now, &t)
	}
	if refuses {
		q.mu.count.dialRefused++
		if e := q.refusalLocked(now); e != nil {
			q.refuseLocked(e, &t)
		}
	}
	q.fillLocked(now, &t)
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
	if first {
		q.warn(d.target.Node, err)
	}
	if !refuses && q.pool.ctx.Err() == nil {
		q.pool.signals.NodeTrouble(q.key.Cluster, d.target.Node, err)
	}
}

// refusesForGood says whether a failure is an answer that will come again until a person changes something.
func refusesForGood(err error) bool {
	var f interface{ Temporary() bool }
	return errors.As(err, &f) && !f.Temporary()
}

// pauseLocked begins the pause after a failure, unless one is under way; it must be launched.
func (q *Queue) pauseLocked(sh *shelf, now int64, t *todo) {
	if pause := sh.backOff(q.mu.cfg, now); pause > 0 && !q.mu.closed {
		q.pool.wg.Add(1) // closed is set under this lock before anybody waits for the group
		t.pause = pause
	}
}

// backOff begins the pause after a failed dial and returns its length; 0 if a pause is under way already.
func (sh *shelf) backOff(cfg Config, now int64) time.Duration {
	if now < sh.retryAt {
		return 0
	}
	pause := cfg.DialBackoffMin
	for range sh.fails {
		pause = min(2*pause, cfg.DialBackoffMax)
		if pause == cfg.DialBackoffMax {
			break
		}
	}
	sh.fails++
	pause = jitter(pause)
	sh.retryAt = now + int64(pause)
	return pause
}

// jitterPart is how far a jittered duration may be off, as a fraction: one tenth.
const jitterPart = 10

// jitter returns d ±10 %, so that what began together does not end together.
func jitter(d time.Duration) time.Duration {
	part := d / jitterPart
	if part <= 0 {
		return d
	}
	return d - part + rand.N(2*part+1) //nolint:gosec // it spreads load and keeps no secret
}

// refusalLocked returns why waiting is of no use: every node that may serve has refused this queue's user or database a moment
// ago, and no connection is left.
func (q *Queue) refusalLocked(now int64) error {
	var err error
	if q.mu.hold != event.HoldNone {
		return nil
	}
	for _, sh := range q.mu.nodes {
		if sh.live() > 0 || !sh.refuses || now >= sh.retryAt {
			return nil
		}
		err = sh.trouble
	}
	return err
}

// dialed takes an open connection to the loop of who has waited longest.
func (q *Queue) dialed(d *dial, conn *backend.Conn) {
	q.mu.Lock()
	var loop *reactor.Loop
	if w := q.mu.line.head; w != nil {
		loop = w.Loop
	}
	q.mu.Unlock()
	if loop == nil {
		loop = q.pool.wires.pick()
	}
	if !q.pool.wires.post(loop, &arrival{dial: d, conn: conn}) {
		q.pool.discard(conn)
		q.dialLost(d)
	}
}

// dialLost ends a dial whose connection found no loop: the reactor is gone, nobody can be served any more.
func (q *Queue) dialLost(d *dial) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.shelf.dialing--
	q.pool.limits.giveBack(&d.shelf.purse)
	q.mu.count.dialOff++
}

var errNotAttached = errors.New("pool: a server connection could not be attached to its event loop")

// arrival brings an open connection to a loop.
type arrival struct {
	dial *dial
	conn *backend.Conn
}

// Run makes it a server.
func (a *arrival) Run(l *reactor.Loop) {
	q := a.dial.queue
	s := &Server{id: q.pool.born.Add(1), Conn: a.conn, queue: q, shelf: a.dial.shelf, loop: l, round: a.dial.round, ahead: a.dial.ahead}
	s.IO = q.pool.wires.attach(l, a.conn.Socket, (*keeper)(s))
	if !s.IO.Open() { // for want of a descriptor
		q.pool.wires.cutOff(s.IO)
		q.dialFailed(a.dial, errNotAttached)
		return
	}
	var t todo
	now := q.pool.wires.now(l)
	q.mu.Lock()
	e, h := q.arriveLocked(s, a.dial, now, &t)
	q.verifyLocked()
	q.mu.Unlock()
	q.run(s, e, h)
	q.do(&t)
}

func (q *Queue) arriveLocked(s *Server, d *dial, now int64, t *todo) (errand, hand) {
	d.shelf.dialing--
	if d.target == d.shelf.target && d.shelf.sick == 0 {
		d.shelf.forgive()
	}
	q.ariseLocked(s)
	if q.mu.closed || q.mu.hold == event.HoldPaused || d.round != q.mu.round || q.staleLocked(s) {
		q.mu.count.closed[closedLate]++
		q.pool.limits.giveBack(&d.shelf.purse)
		q.fillLocked(now, t)
		return errandHangUp, hand{}
	}
	q.mu.count.dialOK++
	s.born = now
	s.live(q.mu.cfg.Lifetime)
	q.addLocked(s, now)
	h := q.settleLocked(s, now)
	q.fillLocked(now, t) // the node takes connections again: who waited for a pause to end need not
	return errandPass, h
}

// discard closes a connection that no loop has.
func (p *Pool) discard(conn *backend.Conn) {
	if err := conn.Close(); err != nil {
		p.log.Debug("server connection not closed cleanly", "node", conn.Target.Node, "error", err)
	}
}

// Dialer opens server connections. Dial runs on goroutines of the pool's, few at once per node, and must honour its context.
type Dialer interface {
	Dial(ctx context.Context, t backend.Target, k Key) (*backend.Conn, error)
}
