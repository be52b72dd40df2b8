package pool

import (
	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/topology"
)

// pickDepth bounds how many idle servers are looked at for one that fits the caller best.
const pickDepth = 8

// shelf holds a queue's connections to one node. Guarded by the queue's lock.
type shelf struct {
	queue    *Queue
	node     topology.NodeID
	target   backend.Target // what a dial started now would open
	eligible bool           // the routing decision in force names the node

	weight  int   // of the node, see Reads
	warming int64 // pool clock since when the node has been in its life
	share   int64 // of the unit of work that is being balanced; 0: none
	credit  int64 // what of its share it has not got in the turns until now

	lists   [stateCount]serverList
	dialing int

	doubtful bool // no dial starts until the next view or sweep, see doubtLocked

	fails   int    // failed dials in a row
	retryAt int64  // pool clock before which no dial starts; 0 = at once
	trouble error  // why the last dial failed; nil = it did not
	refuses bool   // trouble is the server's own answer about this queue's user or database
	sick    uint64 // the last server that was useless, see Useless; 0 = none since one has served

	purse  purse   // what each of its connections spends
	short  *budget // the limit that leaves no room for one; nil = none does. Written with the lock of limits, too
	hungry int64   // pool clock since when who waits has done so, when short was set
}

// live counts the open connections.
func (sh *shelf) live() int {
	l := &sh.lists
	return l[stateIdle].n + l[stateLinked].n + l[stateResetting].n + l[stateCancelPending].n
}

// total counts what Size limits.
func (sh *shelf) total() int { return sh.live() + sh.dialing }

// idle counts the servers that could be handed out.
func (sh *shelf) idle() int { return sh.lists[stateIdle].n }

// load is what balancing compares.
func (sh *shelf) load() int { return sh.lists[stateLinked].n }

// fits scores how well an idle server suits a waiter: its loop first, then its parameters.
func (s *Server) fits(w *Waiter) int {
	score := 0
	if s.loop == w.Loop {
		score = 2
	}
	if w.Vector == nil || s.Vector == w.Vector {
		score++
	}
	return score
}

// bestFit is the score of a server that nothing needs to be done for.
const bestFit = 3

// pick returns the idle server that suits w best: the one that it wants, else the best among those used last; nil if there is none.
func (sh *shelf) pick(w *Waiter) *Server {
	if w.Last != 0 {
		if s := sh.find(w.Last); s != nil {
			return s
		}
	}
	var best *Server
	bestScore := -1
	s := sh.lists[stateIdle].head
	for range pickDepth {
		if s == nil {
			break
		}
		score := s.fits(w)
		if score == bestFit {
			return s
		}
		if score > bestScore {
			best, bestScore = s, score
		}
		s = s.next
	}
	return best
}

// find returns the idle server with that ID, nil if there is none.
func (sh *shelf) find(id uint64) *Server {
	for s := sh.lists[stateIdle].head; s != nil; s = s.next {
		if s.id == id {
			return s
		}
	}
	return nil
}

// aim sets where the next dial goes. Another life, role or address of the node ends the pause after failed dials.
func (sh *shelf) aim(t backend.Target) {
	if sh.target != t {
		sh.target = t
		sh.forgive()
	}
}

// forgive forgets failed dials.
func (sh *shelf) forgive() {
	sh.fails, sh.retryAt, sh.trouble, sh.refuses, sh.sick = 0, 0, nil, false, 0
}

// doubtLocked draws the conclusion from the loss of a server, at work or idle: when a server process crashes, or the postmaster is
// stopped, PostgreSQL ends all others within milliseconds. An idle connection would take a unit of work with it,
// and a read that is replayed belongs on another node. So the idle ones are closed, and those in use when they are released: who has just
// lost one would get the next to end. Where another node serves the route, none is
// opened until the node's probe, which runs at once, has changed the picture, or a sweep has come by.
func (q *Queue) doubtLocked(sh *shelf, t *todo) {
	sh.eachLocked(func(s *Server) {
		if !s.retiring.Load() {
			q.retireLocked(s, closedDoubtful, t)
		}
	})
	sh.doubtful = len(q.mu.nodes) > 1
}

// mayDial says whether a dial may start now. After a failure one at a time tries until one succeeds.
func (sh *shelf) mayDial(size int, now int64) bool {
	return sh.total() < size && now >= sh.retryAt && !sh.doubtful && sh.short == nil && (sh.trouble == nil || sh.dialing == 0)
}
