package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// retryPause keeps a client whose connect failed at once from trying in a tight loop.
const retryPause = 100 * time.Millisecond

// client is one user of the service: one thing at a time, over a connection for writes and one for lookups.
type client struct {
	load  *Load
	n     int
	dice  *rand.Rand
	write *session
	read  *session
	looks int64 // lookups so far

	mu struct {
		sync.Mutex
		log     []entry // by number
		windows []*Figures
		busy    time.Time // when the operation in progress began; zero between two
	}
}

// entry is what a client knows of one of its writes, and since when.
type entry struct {
	outcome Outcome
	at      time.Time
}

func newClient(l *Load, n int) (*client, error) {
	write, err := newSession(l.config.WriteDSN, l.config.Protocol)
	if err != nil {
		return nil, err
	}
	read, err := newSession(l.config.ReadDSN, l.config.Protocol)
	if err != nil {
		return nil, err
	}
	return &client{load: l, n: n, dice: rand.New(rand.NewPCG(l.config.Seed, uint64(n))), write: write, read: read}, nil
}

// run does operations until ctx ends (at once) or the load is stopped (after the one in progress).
func (c *client) run(ctx context.Context) {
	defer c.write.close()
	defer c.read.close()
	next := time.Now().Add(time.Duration(c.dice.Float64() * float64(c.load.interval())))
	for {
		now := time.Now()
		if next.Before(now) {
			next = now // behind: no burst to catch up
		}
		if !c.load.sleep(ctx, next.Sub(now)) {
			return
		}
		if !c.operate(ctx) && !c.load.sleep(ctx, retryPause) {
			return
		}
		next = next.Add(c.load.interval())
	}
}

// operate does one operation by the dice. It reports false when there was no connection.
func (c *client) operate(ctx context.Context) bool {
	const percent = 100
	mix := c.load.config.Mix
	dice := c.dice.IntN(percent)
	switch {
	case dice < mix.Lookup:
		return c.lookup(ctx)
	case dice < mix.Lookup+mix.Register:
		return c.single(ctx, sqlRegister, c.subscriber(), "sip:"+strconv.Itoa(c.dice.IntN(1<<16))+"@192.0.2.7")
	case dice < mix.Lookup+mix.Register+mix.Record:
		return c.single(ctx, sqlRecord, c.subscriber(), c.subscriber(), c.seconds())
	}
	return c.call(ctx)
}

func (c *client) subscriber() string {
	return "u" + strconv.Itoa(c.dice.IntN(c.load.config.Subscribers))
}

func (c *client) seconds() string {
	const longest = 3600
	return strconv.Itoa(c.dice.IntN(longest))
}

// attempt is one operation from its start to what the client knows in the end.
type attempt struct {
	began  time.Time
	window int
	write  bool
	seq    int64
	stage  Stage // how far it has come
}

func (c *client) begin(write bool) attempt {
	a := attempt{began: time.Now(), window: c.load.window(), write: write}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.busy = a.began
	if write {
		a.seq = int64(len(c.mu.log))
		c.mu.log = append(c.mu.log, entry{})
	}
	return a
}

// marks returns the values that every write begins with.
func (c *client) marks(a attempt) []string {
	seq := strconv.FormatInt(a.seq, 10)
	return []string{c.load.run, strconv.Itoa(c.n), seq, writeID(c.load.run, c.n, a.seq)}
}

func writeID(run string, client int, seq int64) string {
	return fmt.Sprintf("%s-%d-%d", run, client, seq)
}

// end books what became of an attempt, which err has ended if it is not nil.
func (c *client) end(a attempt, outcome Outcome, err error) {
	now := time.Now()
	took := now.Sub(a.began)
	if outcome == Acknowledged {
		c.load.answered(now, took, a.write)
	}
	index := c.load.attribute(a.window)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.busy = time.Time{}
	f := c.figuresLocked(index)
	if a.write {
		c.mu.log[a.seq] = entry{outcome, now}
	}
	if err != nil {
		f.count(Failure{Fault: Fault{a.stage, errorKey(err)}, Began: a.began, Ended: now})
	}
	switch outcome {
	case Failed:
		f.Failed++
	case Unknown:
		f.Unknown++
	case Acknowledged:
		f.Acknowledged++
		c.bookLatencyLocked(f, a.write, took)
	}
}

func (c *client) bookLatencyLocked(f *Figures, write bool, took time.Duration) {
	if write {
		f.Writes.Add(took)
	} else {
		f.Reads.Add(took)
	}
	if took >= c.load.config.Slow {
		f.Held++
		f.HeldMax = max(f.HeldMax, took)
	}
}

func (c *client) figuresLocked(index int) *Figures {
	for len(c.mu.windows) <= index {
		c.mu.windows = append(c.mu.windows, &Figures{})
	}
	return c.mu.windows[index]
}

// ready opens a session and counts when it had been open before.
func (c *client) ready(ctx context.Context, s *session) error {
	before := s.opened
	if err := s.ready(ctx); err != nil {
		return err
	}
	if before > 0 && s.opened > before {
		c.note(func(f *Figures) { f.Reconnects++ })
	}
	return nil
}

func (c *client) note(change func(*Figures)) {
	index := c.load.window()
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.figuresLocked(index))
}

func (c *client) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.load.config.Timeout)
}

func (c *client) lookup(ctx context.Context) bool {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	a := c.begin(false)
	if err := c.ready(ctx, c.read); err != nil {
		c.end(a, Failed, err)
		return false
	}
	a.stage = Looking
	who := c.subscriber()
	c.looks++
	id := lookupID(c.load.run, c.n, c.looks)
	if r := c.ask(ctx, c.read, sqlLookup, id+" "+who, id, who); r.err != nil {
		c.end(a, Failed, r.err)
		return true
	}
	c.end(a, Acknowledged, nil)
	return true
}

func lookupID(run string, client int, number int64) string {
	return fmt.Sprintf("%s-%d-look-%d", run, client, number)
}

// ask runs a statement whose answer bears a mark. One that does not is somebody else's, or comes from a server without the data.
func (c *client) ask(ctx context.Context, s *session, sql, mark string, values ...string) result {
	r := s.run(ctx, sql, values...)
	if r.err == nil && !r.bears(mark) {
		c.note(func(f *Figures) {
			f.mixed(fmt.Sprintf("%s: asked for %q, told %q %q", time.Now().Format(time.StampMilli), mark, r.tag, r.rows))
		})
	}
	return r
}

// single does a write of one statement in autocommit.
func (c *client) single(ctx context.Context, sql string, values ...string) bool {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	a := c.begin(true)
	if err := c.ready(ctx, c.write); err != nil {
		c.end(a, judge(a.stage, err, noTag), err)
		return false
	}
	a.stage = Autocommit
	marks := c.marks(a)
	r := c.ask(ctx, c.write, sql, marks[3], append(marks, values...)...)
	c.end(a, judge(a.stage, r.err, c.tagOf(r)), r.err)
	return true
}

func (c *client) tagOf(r result) tagState {
	switch {
	case r.tag == "":
		return noTag
	case c.load.config.Protocol == Simple:
		return tagAfterCommit
	}
	return tagBeforeCommit
}

// errRolledBack says that COMMIT was answered with ROLLBACK.
var errRolledBack = errors.New("the transaction had failed before COMMIT")

// call does a transaction of several statements.
func (c *client) call(ctx context.Context) bool {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	a := c.begin(true)
	if err := c.ready(ctx, c.write); err != nil {
		c.end(a, judge(a.stage, err, noTag), err)
		return false
	}
	if err := c.callBody(ctx, &a); err != nil {
		c.rollback(ctx)
		c.end(a, judge(a.stage, err, noTag), err)
		return true
	}
	a.stage = Committing
	r := c.write.run(ctx, "COMMIT")
	if r.err == nil && r.tag != "COMMIT" {
		c.end(a, Failed, errRolledBack)
		return true
	}
	c.end(a, judge(a.stage, r.err, c.tagOf(r)), r.err)
	return true
}

func (c *client) callBody(ctx context.Context, a *attempt) error {
	a.stage = Beginning
	marks := c.marks(*a)
	id := marks[3]
	caller, callee := c.subscriber(), c.subscriber()
	statements := []struct {
		sql, mark string
		values    []string
	}{
		{"BEGIN", "BEGIN", nil},
		{sqlCallMark, id, marks},
		{sqlCallUpdate, id, []string{id, caller}},
		{sqlCallRecord, id, []string{marks[0], id, caller, callee, c.seconds()}},
	}
	for _, s := range statements {
		if r := c.ask(ctx, c.write, s.sql, s.mark, s.values...); r.err != nil {
			return r.err
		}
		a.stage = InTransaction
	}
	return nil
}

func (c *client) rollback(ctx context.Context) {
	if !c.write.conn.IsClosed() {
		// What fails here closes the connection, which rolls back as well.
		_ = c.write.run(ctx, "ROLLBACK")
	}
}
