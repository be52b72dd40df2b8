package pool

import (
	"slices"
)

// A queue lives as long as somebody uses it or it has something: a server in any state, one that is being opened, or a pause after
// a failure. Clients choose what stands in a Key, so that a queue that stayed would be a leak for any client to drive. How many
// there are at once needs no limit of its own: each has a user (limits.max_clients), or a connection that its servers let in, or was
// refused by them within dial_backoff_max and a sweep.

// Leave ends the use that one call of Pool.Queue began: the caller has neither a server of the queue nor a place in it, and will ask
// for none. Any goroutine.
func (q *Queue) Leave() {
	p := q.pool
	p.mu.Lock()
	left := q.users.Add(-1)
	p.mu.Unlock()
	if left < 0 {
		p.mustNot("a queue was left more often than used")
	}
}

// Stay lets the queue never be forgotten. It is for users, before they leave. Any goroutine.
func (q *Queue) Stay() {
	p := q.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	q.stays = true
}

// Shared returns what the users of the queue have in common, made by the first that asks. It is forgotten with the queue. Any
// goroutine.
func (q *Queue) Shared(first func() any) any {
	q.shared.once.Do(func() { q.shared.what = first() })
	return q.shared.what
}

// unused returns the queues that nobody uses, and how often each has been used until now.
func (p *Pool) unused() map[*Queue]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := make(map[*Queue]uint64)
	for _, q := range p.mu.queues {
		if q.users.Load() == 0 && !q.stays {
			seen[q] = q.uses
		}
	}
	return seen
}

// forget takes queues out of the tables that nobody used and that then had nothing left. Without users nothing comes to a queue: it
// is enough to see that nobody has come since. Who comes later makes another. What they have counted gets into the ledger in the
// same moment, so that whoever adds up counts it once.
func (p *Pool) forget(seen map[*Queue]uint64) {
	if len(seen) == 0 {
		return
	}
	counted := make(map[*Queue]QueueStats, len(seen))
	for q := range seen {
		counted[q] = q.Stats()
	}
	p.mu.Lock()
	for q, uses := range seen {
		id := identity{key: q.key, rules: q.rules}
		if q.uses != uses || p.mu.known[id] != q {
			delete(counted, q)
			continue
		}
		delete(p.mu.known, id)
		p.mu.ledger.settle(labelsOf(q.key), counted[q])
		p.limits.shut(q.database, q.user)
	}
	p.mu.queues = slices.DeleteFunc(slices.Clone(p.mu.queues), func(q *Queue) bool {
		_, gone := counted[q]
		return gone
	})
	p.mu.Unlock()
	for q := range counted {
		q.end()
		p.log.Debug("queue forgotten", "cluster", q.key.Cluster, "route", q.key.Route, "database", q.key.Database, "user", q.key.User)
	}
}

// nothingLeftLocked says whether the queue has nothing that would be missed.
func (q *Queue) nothingLeftLocked(now int64) bool {
	for _, sh := range q.mu.shelves {
		if sh.total() > 0 || now < sh.retryAt {
			return false
		}
	}
	return q.mu.line.n == 0
}

// end makes a forgotten queue refuse who should not ask it any more, rather than let him wait for ever.
func (q *Queue) end() {
	q.mu.Lock()
	q.mu.closed = true
	q.verifyLocked()
	q.mu.Unlock()
}
