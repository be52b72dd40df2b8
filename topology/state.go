package topology

import (
	"cmp"
	"slices"
	"time"
)

// Member is a node that belongs to the cluster, by configuration or because a source found it.
type Member struct {
	ID       NodeID
	Address  string // host:port, or /directory:port for a unix socket; "" means the same as ID
	Resolved bool   // Address is where the name in ID leads
}

// Floor is what must outlive the router: the cluster's identity and the highest timeline that was ever accepted. Nothing
// below it is opened for writes. The zero value means that nothing is known yet.
type Floor struct {
	SystemID  uint64
	Timeline  uint32
	Epoch     Epoch
	Primary   NodeID // the last node that could take writes
	Overruled uint32 // an operator has ruled that timelines up to this one, known to standbys or to stopped nodes, do not count
}

// Known reports whether a primary was ever accepted.
func (f Floor) Known() bool { return f.SystemID != 0 && f.Timeline != 0 }

// Limits are the reducer's times.
type Limits struct {
	MaxAge    time.Duration // an answer older than this is no longer fresh: the node is suspect
	StartWait time.Duration // how long the first primary waits for a node, or the DCS, of which nothing at all has been heard
	AgentAge  time.Duration // what an agent said longer ago than this counts no more

	DCS            bool // a DCS is configured: a node is opened for writes with its permission only
	HoldWithoutDCS bool // writes are held as soon as the DCS is silent, whatever speaks for the primary
}

// State is one cluster as the reducer knows it: the snapshot, and what must be remembered beside it. It is a value: Next
// returns another one and leaves this one alone. The zero State has no members and never has a primary.
type State struct {
	snap   *Snapshot
	floor  Floor
	nodes  []memory // sorted by ID, like the snapshot's; never changed in place
	said   []source // what witnesses of the whole cluster said, sorted by name; never changed in place
	limits Limits
	began  time.Time  // since when the DCS is awaited: the beginning of this life of the router, or of its being configured
	closed time.Time  // since when no node may take writes
	dcsSet time.Time  // since when the snapshot's DCS is as it is
	trail  []sighting // where primaries' logs ended, the oldest first; never changed in place
}

// memory is what is remembered of one node beside what the snapshot shows.
type memory struct {
	node      Node
	joined    time.Time     // when the node became a member
	askedAt   time.Time     // when the question of its latest observation was asked; zero: nothing heard yet
	claimedAt time.Time     // when the question was asked that first found it as it is: this life, timeline and will to write
	stopped   bool          // its latest word, silence apart, proves that it takes no writes
	history   History       // of its timeline, where known
	agent     Agent         // the latest of its agent
	replayAge time.Duration // of a standby, see Observation
	currentAt time.Time     // when a primary's log was where this life of the standby has replayed it; zero: not known

	waitsSince  time.Time // since when the commit that waits for a synchronous standby for longest was seen to wait
	lonelySince time.Time // since when it has no synchronous standby
	stalledAt   time.Time // since when its commits hang
}

// NewState returns the state of a cluster of which nothing has been observed yet. floor is what was persisted, or zero.
func NewState(cluster ClusterID, members []Member, floor Floor, limits Limits, now time.Time) State {
	s := State{floor: floor, limits: limits, began: now, closed: now, dcsSet: now}
	s.snap = &Snapshot{Cluster: cluster, Epoch: floor.Epoch, LastPrimary: floor.Primary, Since: now, At: now}
	r := begin(s, now)
	r.join(members)
	next, _ := r.finish()
	return next
}

// Snapshot returns the picture to publish. It is never changed (I7).
func (s State) Snapshot() *Snapshot {
	if s.snap == nil {
		return &Snapshot{}
	}
	return s.snap
}

// Floor returns what is to be persisted.
func (s State) Floor() Floor { return s.floor }

// WithLimits returns the state with other times, and with a DCS or without. What one said that does not count any more is forgotten; one
// that has just been configured is awaited, and the primary stays for so long.
func (s State) WithLimits(limits Limits, now time.Time) State {
	if limits.DCS != s.limits.DCS {
		s.said, s.began = nil, now
	}
	s.limits = limits
	return s
}

// WithMembers makes the cluster consist of exactly these nodes and reduces. What is known of nodes that stay is kept. To
// remove a node is an operator's word that it no longer counts, neither as a primary nor as a rival.
func WithMembers(prev State, members []Member, now time.Time) (State, []Change) {
	r := begin(prev, now)
	r.join(members)
	return r.finish()
}

// join makes the members those given, sorted and without doubles. A node at another address is another machine: nothing that was said
// before counts for it, only its lives are counted on. A name that comes to be resolved is no other machine than it was.
func (r *reduction) join(members []Member) {
	members = slices.Clone(members)
	slices.SortStableFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	members = slices.CompactFunc(members, func(a, b Member) bool { return a.ID == b.ID })
	nodes := make([]memory, 0, len(members))
	for _, m := range members {
		address := cmp.Or(m.Address, string(m.ID))
		node := memory{node: Node{ID: m.ID, Address: address, Since: r.now}, joined: r.now}
		switch old := r.find(m.ID); {
		case old == nil:
		case old.node.Address == address, m.Resolved && old.node.Address == string(m.ID):
			node = *old
			node.node.Address = address
		default:
			node.node.Incarnation = old.node.Incarnation
		}
		nodes = append(nodes, node)
	}
	r.nodes = nodes
}
