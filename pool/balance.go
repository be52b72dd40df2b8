package pool

import (
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
)

// shelfLocked chooses the node that the next unit of work goes to, among those with an idle server; nil if there is none. Where
// another node's turn it would be, a connection to that one is opened for the next time: waiting for it would only cost.
func (q *Queue) shelfLocked(now int64, t *todo) *shelf {
	if len(q.mu.nodes) == 1 {
		if sh := q.mu.nodes[0]; sh.idle() > 0 {
			return sh
		}
		return nil
	}
	used, wanted := q.balanceLocked(now)
	if used != nil && wanted != used && wanted.dialing == 0 && wanted.idle() == 0 && q.roomLocked(wanted, now) {
		t.dial(q.dialLocked(wanted, true))
	}
	return used
}

// balanceLocked returns the shelf to use, and the one that would be used if it had an idle server.
func (q *Queue) balanceLocked(now int64) (used, wanted *shelf) {
	prefer := lighter
	if q.rules.Balance == routing.RoundRobin || !q.inUseLocked() {
		prefer = nextInTurn
	}
	all := int64(0)
	for _, sh := range q.mu.nodes {
		sh.share = 0
		if sh.idle() == 0 && !q.roomLocked(sh, now) {
			continue
		}
		sh.share = q.shareLocked(sh, now)
		all += sh.share
		if sh.idle() > 0 && (used == nil || prefer(sh, used)) {
			used = sh
		}
		if wanted == nil || prefer(sh, wanted) {
			wanted = sh
		}
	}
	if used != nil {
		q.creditLocked(used, all)
	}
	return used, wanted
}

// creditLocked gives each node its share of one unit of work, and takes the whole from the one that does it: the smooth weighted round
// robin of nginx. Who could not take its turns, or had to take those of others, makes up for one round of them at most.
func (q *Queue) creditLocked(used *shelf, all int64) {
	for _, sh := range q.mu.nodes {
		sh.credit = min(sh.credit+sh.share, all)
	}
	used.credit = max(used.credit-all, -all)
}

// nextInTurn says whether it is rather a's turn than that of b, which comes first.
func nextInTurn(a, b *shelf) bool { return a.credit+a.share > b.credit+b.share }

// lighter says whether one more unit of work would be less for a than for b, by what they have to do and their shares.
func lighter(a, b *shelf) bool {
	onA, onB := int64(a.load()+1)*b.share, int64(b.load()+1)*a.share
	return onA < onB || onA == onB && nextInTurn(a, b)
}

// growLocked opens a connection for every waiter that none is being opened for, as far as sizes and failures allow.
func (q *Queue) growLocked(now int64, t *todo) {
	if q.mu.line.n == 0 || q.mu.hold != event.HoldNone {
		return
	}
	dialing := 0
	for _, sh := range q.mu.nodes {
		dialing += sh.dialing
	}
	for ; dialing < q.mu.line.n; dialing++ {
		sh := q.emptiestLocked(now)
		if sh == nil {
			return
		}
		t.dial(q.dialLocked(sh, false))
	}
}

// emptiestLocked returns the shelf with the fewest connections for its share that may have one more; nil if there is none.
func (q *Queue) emptiestLocked(now int64) *shelf {
	var best *shelf
	for _, sh := range q.mu.nodes {
		if !q.roomLocked(sh, now) {
			continue
		}
		sh.share = q.shareLocked(sh, now)
		if best == nil || int64(sh.total()+1)*best.share < int64(best.total()+1)*sh.share {
			best = sh
		}
	}
	return best
}

// sizeLocked returns how many connections a shelf may have without the reserve.
func (q *Queue) sizeLocked(sh *shelf) int {
	if q.rationedLocked(sh) {
		return max(q.mu.cfg.Size*q.rules.FallbackMax/100, 1)
	}
	return q.mu.cfg.Size
}

// mostLocked returns how many it may have with it.
func (q *Queue) mostLocked(sh *shelf) int {
	if q.rationedLocked(sh) {
		return q.sizeLocked(sh)
	}
	return q.mu.cfg.Size + q.mu.cfg.ReserveSize
}

// rationedLocked says whether a shelf is of a primary that stands in for standbys, where reads have only a part of the size, and no
// reserve, so that they do not starve writes.
func (q *Queue) rationedLocked(sh *shelf) bool {
	return q.mu.fallback && sh.eligible && q.rules.FallbackMax > 0 && q.rules.FallbackMax < 100
}

// roomLocked says whether a dial to a shelf may start now: the reserve counts when somebody has waited long enough.
func (q *Queue) roomLocked(sh *shelf, now int64) bool {
	if w := q.mu.line.head; w != nil && time.Duration(now-w.since) >= q.mu.cfg.ReserveTimeout {
		return sh.mayDial(q.mostLocked(sh), now)
	}
	return sh.mayDial(q.sizeLocked(sh), now)
}

// tooManyLocked says whether a shelf has more connections than it ever may: the size has been lowered.
func (q *Queue) tooManyLocked(sh *shelf) bool { return sh.live() > q.mostLocked(sh) }

// floorLocked returns how many of a shelf's connections stay open whether they are used or not: min_size, as in PgBouncer, while
// somebody uses the queue: a client, or the router itself where it knows as whom to log in. Those with start-up options of their own
// have none: they could be any.
func (q *Queue) floorLocked(sh *shelf) int {
	if !sh.eligible || q.key.Options != "" || q.users.Load() == 0 {
		return 0
	}
	return min(q.mu.cfg.MinSize, q.sizeLocked(sh))
}

// warmLocked opens connections up to min_size before anybody asks for them, unless somebody waits under a limit for a place.
func (q *Queue) warmLocked(now int64, t *todo) {
	if q.mu.closed || q.mu.hold != event.HoldNone || q.pool.limits.hunger.Load() > 0 {
		return
	}
	for _, sh := range q.mu.nodes {
		for sh.total() < q.floorLocked(sh) && sh.mayDial(q.sizeLocked(sh), now) {
			t.dial(q.dialLocked(sh, true))
		}
	}
}
