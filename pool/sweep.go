package pool

import (
	"slices"
	"time"
)

// sweepInterval is how often connections are looked at whose time may be over.
const sweepInterval = time.Second

// optionsIdle stands for an IdleTimeout of 0 in a queue with start-up options of its own that nobody uses: clients choose those, so
// that connections that stay would pile up.
const optionsIdle = 10 * time.Minute

// runSweeps is the pool's one lasting goroutine.
func (p *Pool) runSweeps(interval time.Duration) {
	defer p.wg.Done()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.sweep()
		case <-p.ctx.Done():
			return
		}
	}
}

// sweep ends the pauses whose time is over, looks at every queue, and forgets those that nobody uses and that have nothing left.
func (p *Pool) sweep() {
	p.expirePauses()
	p.standIn()
	unused := p.unused()
	for _, q := range p.allQueues() {
		_, lonely := unused[q]
		if nothingLeft := q.sweep(lonely); !nothingLeft {
			delete(unused, q)
		}
	}
	p.forget(unused)
	p.relieve()
}

// standIn lets queues that have held work for long enough have a standby.
func (p *Pool) standIn() {
	now := p.wires.clock()
	var due []*Queue
	for _, q := range p.allQueues() {
		if q.overdue(now) {
			due = append(due, q)
		}
	}
	p.refresh(due)
}

// sweep closes what is too old, unused for too long or stuck in a reset, and says whether the queue has nothing left. It is told
// whether the queue is without users.
func (q *Queue) sweep(unused bool) (nothingLeft bool) {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	for _, sh := range q.mu.shelves {
		sh.doubtful = false
		sh.eachLocked(func(s *Server) { q.sweepLocked(s, now, unused, &t) })
	}
	q.mu.shelves = slices.DeleteFunc(q.mu.shelves, func(sh *shelf) bool { return !sh.eligible && sh.total() == 0 })
	q.fillLocked(now, &t)
	q.warmLocked(now, &t)
	nothingLeft = q.nothingLeftLocked(now)
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
	return nothingLeft
}

func (q *Queue) sweepLocked(s *Server, now int64, unused bool, t *todo) {
	cfg := &q.mu.cfg
	idle := cfg.IdleTimeout
	if idle == 0 && unused && q.key.Options != "" {
		idle = optionsIdle
	}
	old := s.expires > 0 && now >= s.expires
	since := time.Duration(now - s.since)
	switch {
	case s.state == stateResetting && since >= cfg.AnswerTimeout:
		q.retireLocked(s, closedReset, t)
	case s.state == stateIdle && old, s.state == stateLinked && old && !s.moving && !s.retiring.Load():
		q.retireLocked(s, closedLifetime, t)
	case s.state == stateIdle && q.tooManyLocked(s.shelf):
		q.retireLocked(s, closedSurplus, t)
	case s.state == stateIdle && idle > 0 && since >= idle && s.shelf.live() > q.floorLocked(s.shelf):
		q.retireLocked(s, closedIdle, t)
	}
}
