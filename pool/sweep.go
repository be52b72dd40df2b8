package pool

import (
	"slices"
	"time"
)

// sweepInterval is how often connections are looked at whose time may be over.
const sweepInterval = time.Second

// runSweeps is the pool's one lasting goroutine.
func (p *Pool) runSweeps() {
	defer p.wg.Done()
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for _, q := range p.allQueues() {
				q.sweep()
			}
		case <-p.ctx.Done():
			return
		}
	}
}

// sweep closes what is too old, unused for too long or stuck in a reset.
func (q *Queue) sweep() {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	for _, sh := range q.mu.shelves {
		sh.eachLocked(func(s *Server) { q.sweepLocked(s, now, &t) })
	}
	q.mu.shelves = slices.DeleteFunc(q.mu.shelves, func(sh *shelf) bool { return !sh.eligible && sh.total() == 0 })
	q.fillLocked(now, &t)
	q.verifyLocked()
	q.mu.Unlock()
	q.do(&t)
}

func (q *Queue) sweepLocked(s *Server, now int64, t *todo) {
	cfg := &q.mu.cfg
	old := s.expires > 0 && now >= s.expires
	since := time.Duration(now - s.since)
	switch {
	case s.state == stateResetting && since >= cfg.ResetTimeout:
		q.retireLocked(s, closedReset, t)
	case s.state == stateIdle && old, s.state == stateLinked && old && !s.moving && !s.retiring.Load():
		q.retireLocked(s, closedLifetime, t)
	case s.state == stateIdle && cfg.IdleTimeout > 0 && since >= cfg.IdleTimeout:
		q.retireLocked(s, closedIdle, t)
	}
}
