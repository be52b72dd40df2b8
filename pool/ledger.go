package pool

import (
	"cmp"

	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// labels is what tells series of metrics apart: queues that differ in less are added up.
type labels struct {
	cluster        topology.ClusterID
	route          routing.Route
	database, user string
}

func labelsOf(k Key) labels { return labels{k.Cluster, k.Route, k.Database, k.User} }

// ledger keeps what forgotten queues have counted: no counter goes back. It is guarded by the pool's lock. It cannot grow without
// end: an account of its own is kept only for a database and user that some server has let in; what all others have counted, who may
// be anything that a client has made up, is one sum for each cluster and route.
type ledger map[labels]*account

// account is what is known of the queues with the same labels.
type account struct {
	live   int // queues that are there
	proven bool
	past   QueueStats // the counters of those that are not
}

func (l ledger) account(of labels) *account {
	a := l[of]
	if a == nil {
		a = &account{}
		l[of] = a
	}
	return a
}

// open notes a queue that has been made.
func (l ledger) open(of labels) { l.account(of).live++ }

// settle notes a queue that is forgotten.
func (l ledger) settle(of labels, st QueueStats) {
	a := l.account(of)
	a.live--
	a.past.count(st)
	a.proven = a.proven || st.DialsOK > 0
	if a.live > 0 || a.proven {
		return
	}
	delete(l, of)
	strangers := l.account(labels{cluster: of.cluster, route: of.route})
	strangers.proven = true
	strangers.past.count(a.past)
}

// sum is what all queues with the same labels amount to, those that are forgotten included.
type sum struct {
	labels
	queues int // those that are there
	QueueStats
}

// sums adds up the queues.
func (p *Pool) sums() []sum {
	var all []sum
	at := make(map[labels]int)
	find := func(of labels) *sum {
		i, known := at[of]
		if !known {
			i = len(all)
			at[of] = i
			all = append(all, sum{labels: of})
		}
		return &all[i]
	}
	p.mu.Lock()
	queues := p.mu.queues
	for of, a := range p.mu.ledger {
		find(of).count(a.past)
	}
	p.mu.Unlock()
	for _, q := range queues {
		find(labelsOf(q.key)).add(q.Stats())
	}
	return all
}

// Waits counts the units of work that have had to wait for a server on a route. It never goes back. Any goroutine.
func (p *Pool) Waits(r routing.Route) uint64 {
	n := uint64(0)
	for _, s := range p.sums() {
		if s.route == r {
			n += s.Waits
		}
	}
	return n
}

// add adds a queue that is there.
func (s *sum) add(st QueueStats) {
	if s.queues == 0 {
		s.Size = st.Size
	}
	s.queues++
	s.count(st)
	s.Waiting += st.Waiting
	s.Fallback = s.Fallback || st.Fallback
	s.Oldest = max(s.Oldest, st.Oldest)
	s.StandIn = cmp.Or(s.StandIn, st.StandIn)
	if s.Reason == 0 {
		s.Reason = st.Reason
	}
	for _, n := range st.Nodes {
		s.addNode(n)
	}
}

func (s *sum) addNode(n NodeStats) {
	for i := range s.Nodes {
		if known := &s.Nodes[i]; known.Node == n.Node {
			known.Idle += n.Idle
			known.Linked += n.Linked
			known.Resetting += n.Resetting
			known.CancelPending += n.CancelPending
			known.Dialing += n.Dialing
			return
		}
	}
	s.Nodes = append(s.Nodes, n)
}

// count adds what another has counted: all that only grows.
func (st *QueueStats) count(b QueueStats) {
	st.Acquires += b.Acquires
	st.Grants += b.Grants
	st.Waits += b.Waits
	st.Waited += b.Waited
	st.GaveUp += b.GaveUp
	st.Refused += b.Refused
	st.Full += b.Full
	st.DialsOK += b.DialsOK
	st.DialsFailed += b.DialsFailed
	st.DialsOff += b.DialsOff
	st.Moves += b.Moves
	st.Resets += b.Resets
	st.Violations += b.Violations
	if len(st.Closed) == 0 {
		st.Closed = make([]ClosedStats, len(b.Closed))
	}
	for i, c := range b.Closed {
		st.Closed[i] = ClosedStats{Reason: c.Reason, Count: st.Closed[i].Count + c.Count}
	}
}
