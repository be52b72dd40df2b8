package pool

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/event"
)

// Pause is one order to keep the door of a database's queues closed. The door opens when the last order for it is over: by Undo,
// by Pool.Unpause, or at its limit, which a sweep sees to.
type Pause struct {
	pool     *Pool
	database string // "" = all
	since    int64  // pool clock
	until    int64  // pool clock
	ended    error  // why it is over; guarded by Pool.mu
}

// pauses is immutable: the orders in force.
type pauses []*Pause

func (p pauses) cover(database string) bool {
	return slices.ContainsFunc(p, func(x *Pause) bool { return x.database == "" || x.database == database })
}

// Pause closes the door of all queues to a database, "" of all, for no longer than limit: units of work that run go on, none begins.
// Connections that nobody uses are closed, the others when they are released, so that the database can be renamed or restarted.
// Any goroutine.
func (p *Pool) Pause(database string, limit time.Duration) *Pause {
	now := p.wires.clock()
	x := &Pause{pool: p, database: database, since: now, until: now + int64(limit)}
	p.mu.Lock()
	p.paused.Store(new(append(slices.Clone(*p.paused.Load()), x)))
	queues := p.mu.queues
	p.mu.Unlock()
	p.refresh(queues)
	e := event.OfDatabase(event.DatabasePaused, database)
	e.Time, e.Took = p.wallClock(), limit
	p.events.Emit(e)
	return x
}

// Unpause ends every pause of a database, "" every pause that there is; a pause of all does not end with that of one. It returns
// false when there was none. Any goroutine.
func (p *Pool) Unpause(database string) bool {
	return p.endPauses(ErrResumed, func(x *Pause) bool { return database == "" || x.database == database })
}

// Undo ends this pause and no other. Any goroutine.
func (x *Pause) Undo() { x.pool.endPauses(ErrUndone, func(y *Pause) bool { return x == y }) }

// expirePauses ends the pauses whose time is over.
func (p *Pool) expirePauses() {
	now := p.wires.clock()
	p.endPauses(ErrPauseOver, func(x *Pause) bool { return now >= x.until })
}

// endPauses ends those that are meant, and tells of the databases whose door is open now. It returns false when there were none.
func (p *Pool) endPauses(why error, meant func(*Pause) bool) bool {
	if !slices.ContainsFunc(*p.paused.Load(), meant) {
		return false
	}
	var over, left pauses
	p.mu.Lock()
	for _, x := range *p.paused.Load() {
		if meant(x) {
			x.ended = why
			over = append(over, x)
		} else {
			left = append(left, x)
		}
	}
	p.paused.Store(&left)
	queues := p.mu.queues
	p.mu.Unlock()
	p.refresh(queues)
	p.drained.tell() // who waits for a pause that is over
	p.tellOpened(why, over, left)
	return len(over) > 0
}

func (p *Pool) tellOpened(why error, over, left pauses) {
	kind := event.DatabaseResumed
	if errors.Is(why, ErrPauseOver) {
		kind = event.PauseExpired
	}
	now := p.wires.clock()
	for i, x := range over {
		again := slices.ContainsFunc(over[:i], func(y *Pause) bool { return y.database == x.database })
		if again || left.cover(x.database) {
			continue
		}
		e := event.OfDatabase(kind, x.database)
		e.Time, e.Took = p.wallClock(), time.Duration(now-x.since) // of the first: they stand in the order in which they began
		p.events.Emit(e)
	}
}

// Paused reports whether a database is paused, by itself or with all others; "" asks for all. Any goroutine.
func (p *Pool) Paused(database string) bool { return p.paused.Load().cover(database) }

// PausedNames lists the databases that are paused by name, and "" when all are. Any goroutine.
func (p *Pool) PausedNames() []string {
	var names []string
	for _, x := range *p.paused.Load() {
		if !slices.Contains(names, x.database) {
			names = append(names, x.database)
		}
	}
	return names
}

// Wait waits until no connection to the paused database is in use. The error is a *BusyError that tells how many are left when
// ctx ends, or why the pause ended before that: ErrResumed, ErrUndone or ErrPauseOver. Any goroutine that may block.
func (x *Pause) Wait(ctx context.Context) error {
	err := x.pool.drained.wait(ctx, "", func() int {
		if x.over() != nil {
			return 0
		}
		left := 0
		for _, q := range x.pool.queuesTo(x.database) {
			left += q.linked()
		}
		return left
	})
	if over := x.over(); over != nil {
		return over
	}
	return err
}

// over says why the pause has ended; nil: it has not.
func (x *Pause) over() error {
	x.pool.mu.Lock()
	defer x.pool.mu.Unlock()
	return x.ended
}

// queuesTo returns the queues to a database, "" to any.
func (p *Pool) queuesTo(database string) []*Queue {
	var own []*Queue
	for _, q := range p.allQueues() {
		if database == "" || q.key.Database == database {
			own = append(own, q)
		}
	}
	return own
}

// linked counts the servers in use.
func (q *Queue) linked() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, sh := range q.mu.shelves {
		n += sh.lists[stateLinked].n
	}
	return n
}
