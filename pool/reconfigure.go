package pool

import (
	"time"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/topology"
)

// Reconfigure puts other settings in force for all queues that there are; settings tells them by key. A smaller Size is reached as
// connections come back, and a Lifetime counts from when a connection was opened. Any goroutine.
func (p *Pool) Reconfigure(settings func(Key) Config) {
	for _, q := range p.allQueues() {
		q.reconfigure(settings(q.key))
	}
}

// Withdraw forgets what is known of a cluster that is not served any more: its connections are closed, those in use when they are
// released, and nothing is handed out. A Publish that comes later counts whatever its number. Any goroutine.
func (p *Pool) Withdraw(c topology.ClusterID) {
	p.change(c, func(v *clusterView) { *v = clusterView{snap: &topology.Snapshot{Cluster: c}} })
}

func (q *Queue) reconfigure(cfg Config) {
	var t todo
	now := q.pool.wires.clock()
	q.mu.Lock()
	if before := q.mu.cfg; before != cfg {
		q.mu.cfg, q.mu.reset = cfg, pgwire.AppendQuery(nil, cfg.ResetQuery)
		q.pool.limits.configure(q.database, q.user, &cfg)
		if before.Lifetime != cfg.Lifetime {
			q.outliveLocked(cfg.Lifetime)
		}
		q.fillLocked(now, &t)
		q.warmLocked(now, &t)
	}
	q.mu.Unlock()
	q.do(&t)
}

// outliveLocked gives every connection another lifetime.
func (q *Queue) outliveLocked(lifetime time.Duration) {
	for _, sh := range q.mu.shelves {
		sh.eachLocked(func(s *Server) { s.live(lifetime) })
	}
}
