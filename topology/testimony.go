package topology

import "time"

// Testimony is what a witness beside SQL says of the whole cluster: etcd, or Patroni by its REST interface. It gives permission; only
// SQL shows readiness.
type Testimony struct {
	Source  string        // who says it, one of the Manager's sources; a later one of the same source takes its place
	At      time.Time     // when the witness was asked: an answer is never fresher than its question
	Problem string        // why there is no answer, for operators; the fields below mean nothing then, what was said before grows old
	Lease   time.Duration // for how long after At it counts: Patroni's ttl

	Leader   NodeID   // who holds the leader key; "" = nobody
	SystemID uint64   // the cluster's, from initialize; 0 = not said. It is the cluster's identity while none is pinned
	Paused   bool     // Patroni's pause: the leader key means nothing, the SQL witness alone counts
	Asked    Request  // a switchover or failover that somebody has asked for
	SeesAll  bool     // it is shown every request; else scheduled ones alone, so that none is not the last word
	Sync     []NodeID // the synchronous standbys, sorted; nil = none or not known
}

// Request is a switchover, or a failover when there is no leader to leave, that Patroni was asked for.
type Request struct {
	Pending bool
	From    NodeID    // "" = whoever leads
	To      NodeID    // "" = whom Patroni chooses
	At      time.Time // zero = at once; else it is scheduled
}

// Agent is what the agent of one node, its Patroni, says of that node. Its leadership is a lease: it stays while the server stops, and
// comes before a promotion has ended.
type Agent struct {
	Node    NodeID
	At      time.Time
	Problem string // why there is no answer; the fields below mean nothing then

	Leads    bool // it holds the lock, as far as it knows; false denies it
	State    AgentState
	Timeline uint32
	Tags     Tags
}

// AgentState is what an agent does with its server.
type AgentState uint8

// The states, from Patroni's words.
const (
	AgentUnknown   AgentState = iota
	AgentRunning              // running
	AgentStarting             // starting, restarting, creating replica, …
	AgentPromoting            // has the lock; the server is in recovery still
	AgentStopping             // stopping: the lock is still held, and nobody may begin anything
	AgentStopped              // stopped, crashed, start failed
)

// String returns the state's name.
func (s AgentState) String() string {
	switch s {
	case AgentRunning:
		return "running"
	case AgentStarting:
		return "starting"
	case AgentPromoting:
		return "promoting"
	case AgentStopping:
		return "stopping"
	case AgentStopped:
		return "stopped"
	case AgentUnknown:
	}
	return "unknown"
}

// Tags are those of Patroni's tags that say how a node may be used.
type Tags struct {
	NoLoadBalance bool   // not for reads that are balanced
	NoStream      bool   // follows from the archive: its lag jumps
	NoFailover    bool   // never becomes leader
	ReplicateFrom string // a member's name: a cascading standby
}
