package pool

import (
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// QueueStats is what a queue looks like at one moment, as a copy. The numbers from Acquires on only grow.
type QueueStats struct {
	Key      Key
	Size     int // per node
	Hold     event.HoldReason
	StandIn  topology.NodeID // the standby that serves in the place of a primary; "" = none does
	Held     time.Duration   // since Hold and StandIn are what they are
	Fallback bool            // its node is a primary that serves reads for want of a standby
	Waiting  int
	Reason   event.HoldReason // why they wait
	Oldest   time.Duration    // how long the first in the line has waited
	Nodes    []NodeStats

	Acquires    uint64        // units of work that asked for a server
	Grants      uint64        // … that got one
	Waits       uint64        // … that had to wait for it
	Waited      time.Duration // sum of the waits that ended with a server
	GaveUp      uint64        // … that gave up
	Refused     uint64        // … refused because servers refuse the user or database
	Full        uint64        // … refused by hold_max_clients
	DialsOK     uint64
	DialsFailed uint64
	DialsOff    uint64 // not made after all: nobody waited any more, or another had just failed
	Moves       uint64 // hand-overs of a server to another event loop
	Resets      uint64
	Violations  uint64 // messages of idle servers, or in answer to a reset, that PostgreSQL does not send; must stay 0
	Closed      []ClosedStats
}

// NodeStats is a queue's shelf of one node.
type NodeStats struct {
	Node          topology.NodeID
	Eligible      bool // routing names it now
	Idle          int
	Linked        int // in use, or on the way to who will use it
	Retiring      int // of Linked: closed when they are released
	Resetting     int
	CancelPending int
	Dialing       int
	Trouble       error // why the last dial failed; nil = it did not
}

// ClosedStats counts closed connections by reason.
type ClosedStats struct {
	Reason string
	Count  uint64
}

// Stats returns a copy of what all queues look like, in the order of their making. Any goroutine.
func (p *Pool) Stats() []QueueStats {
	queues := p.allQueues()
	all := make([]QueueStats, 0, len(queues))
	for _, q := range queues {
		all = append(all, q.Stats())
	}
	return all
}

// Faults counts misuses of the pool and broken invariants; it must stay 0. Any goroutine.
func (p *Pool) Faults() uint64 { return p.faults.Load() }

// Stats returns a copy of what the queue looks like. Any goroutine.
func (q *Queue) Stats() QueueStats {
	now := q.pool.wires.clock()
	q.mu.Lock()
	defer q.mu.Unlock()
	m, c := &q.mu, &q.mu.count
	st := QueueStats{
		Key: q.key, Size: m.cfg.Size, Hold: m.hold, StandIn: m.standIn, Fallback: m.fallback, Held: time.Duration(now - m.held), Waiting: m.line.n,
		Acquires: c.acquires, Grants: c.grants, Waits: c.waits, Waited: time.Duration(c.waited), GaveUp: c.gaveUp, Refused: c.refused,
		Full: c.full, DialsOK: c.dialOK, DialsFailed: c.dialFailed, DialsOff: c.dialOff, Moves: c.moves, Resets: c.resets,
		Violations: c.violations,
	}
	if w := m.line.head; w != nil {
		st.Reason, _ = q.reasonLocked()
		st.Oldest = time.Duration(max(now-w.since, 0))
	}
	for _, sh := range m.shelves {
		st.Nodes = append(st.Nodes, sh.stats())
	}
	for r, n := range c.closed {
		st.Closed = append(st.Closed, ClosedStats{Reason: closeReason(r).String(), Count: n})
	}
	return st
}

func (sh *shelf) stats() NodeStats {
	n := NodeStats{
		Node: sh.node, Eligible: sh.eligible, Dialing: sh.dialing, Trouble: sh.trouble,
		Idle: sh.lists[stateIdle].n, Linked: sh.lists[stateLinked].n,
		Resetting: sh.lists[stateResetting].n, CancelPending: sh.lists[stateCancelPending].n,
	}
	for s := sh.lists[stateLinked].head; s != nil; s = s.next {
		if s.retiring.Load() {
			n.Retiring++
		}
	}
	return n
}
