package proxy

import (
	"sync"
	"sync/atomic"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/state"
	"github.com/pgrouter/pgrouter/topology"
)

// placeMemory bounds how many vectors and greetings one place remembers; when it is full everything is learned anew.
const placeMemory = 1024

// place is what all clients of one pool queue share: the queue, mostly their policy, which parameter vectors its servers have accepted, and
// what servers say at login. Each login and session is one use of it.
type place struct {
	cluster topology.ClusterID
	route   routing.Route
	rules   routing.Rules
	queue   *pool.Queue

	policy     atomic.Pointer[Policy] // the last that one of them was given
	generation atomic.Uint64          // of its tables: it moves on with each DDL that is seen
	mu         struct {
		sync.Mutex
		vectors   map[*state.Vector]struct{}
		greetings map[*state.Vector]*greeting
		late      map[*state.Vector]struct{} // those with something that only a server's start can give
	}
}

// greeting is what a client hears between AuthenticationOk and ReadyForQuery.
type greeting struct {
	params []pgwire.Param // every ParameterStatus, in the server's order
	vector *state.Vector  // what the client has: the tracked ones in the server's spelling, the others as it gave them
	epoch  topology.Epoch // of the cluster when it was heard

	standIn bool // a standby said it in the place of a primary: it is not remembered, the next login may find the primary
}

// placeOf returns the place of a key, to a client that uses it until it calls leave. The place is the queue's, and is forgotten with it.
func (p *Proxy) placeOf(key pool.Key, l ListenerConfig, policy Policy) *place {
	queue := p.deps.Pool.Queue(key, l.Rules, policy.Pool)
	return queue.Shared(func() any { return newPlace(queue, l) }).(*place)
}

func newPlace(queue *pool.Queue, l ListenerConfig) *place {
	pl := &place{cluster: l.Cluster, route: l.Route, rules: l.Rules, queue: queue}
	pl.mu.vectors = make(map[*state.Vector]struct{})
	pl.mu.late = make(map[*state.Vector]struct{})
	pl.mu.greetings = make(map[*state.Vector]*greeting)
	return pl
}

// leave ends a client's use of the place: it has given back what it had of the queue.
func (pl *place) leave() { pl.queue.Leave() }

// share returns the policy as one object for all clients that have it: each of their units of work looks into it.
func (pl *place) share(policy Policy) *Policy {
	if last := pl.policy.Load(); last != nil && *last == policy {
		return last
	}
	pl.policy.Store(&policy)
	return &policy
}

// accepts reports whether servers of this place have accepted exactly this vector.
func (pl *place) accepts(v *state.Vector) bool {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	_, ok := pl.mu.vectors[v]
	return ok
}

func (pl *place) accepted(v *state.Vector) {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if len(pl.mu.vectors) >= placeMemory {
		clear(pl.mu.vectors)
	}
	pl.mu.vectors[v] = struct{}{}
}

func (pl *place) rejected(v *state.Vector) {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	delete(pl.mu.vectors, v)
}

// isTooLate reports whether servers have said of something in this vector that only their start can give it.
func (pl *place) isTooLate(v *state.Vector) bool {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	_, late := pl.mu.late[v]
	return late
}

func (pl *place) tooLate(v *state.Vector) {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if len(pl.mu.late) >= placeMemory {
		clear(pl.mu.late)
	}
	pl.mu.late[v] = struct{}{}
}

func (pl *place) greetingFor(wanted *state.Vector) *greeting {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	return pl.mu.greetings[wanted]
}

func (pl *place) remember(wanted *state.Vector, g *greeting) {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if len(pl.mu.greetings) >= placeMemory {
		clear(pl.mu.greetings)
	}
	pl.mu.greetings[wanted] = g
}

// stayFor lets a place that has a greeting outlive its clients and servers, when clients log in eagerly. Those with start-up options
// of their own, which could be any, find it only as long as the queue is there.
func (pl *place) stayFor(policy Policy) {
	if policy.EagerLogin && pl.queue.Key().Options == "" {
		pl.queue.Stay()
	}
}

// open reports whether there is a node for this place.
func (p *Proxy) open(pl *place) bool {
	return len(p.deps.Pool.Decide(pl.cluster, pl.route, pl.rules).Nodes) > 0
}
