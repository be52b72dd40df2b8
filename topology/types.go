package topology

import "time"

// ClusterID names one cluster: the NAME of [cluster.NAME] in the configuration.
type ClusterID string

// NodeID names one node of a cluster: its "host:port" as configured or found.
type NodeID string

// Epoch counts the primaries that a cluster has had since the router's state began. It only grows.
type Epoch uint64

// Incarnation counts the lives of a node as the router has seen them: it grows when the node restarts or changes its role.
// Zero means that the node has never been seen. A server connection is valid for one incarnation only.
type Incarnation uint64

// LSN is a position in the write-ahead log, in bytes.
type LSN uint64

// Role is what a node says of itself.
type Role uint8

// The roles.
const (
	RoleUnknown Role = iota
	RolePrimary      // pg_is_in_recovery() = false
	RoleStandby      // pg_is_in_recovery() = true
)

// String returns the role's name.
func (r Role) String() string {
	switch r {
	case RolePrimary:
		return "primary"
	case RoleStandby:
		return "standby"
	case RoleUnknown:
	}
	return "unknown"
}

// Health is how a node's heartbeat stands.
type Health uint8

// The healths of a node.
const (
	HealthUnknown Health = iota // never answered
	HealthUp                    // answers in time
	HealthSuspect               // missed its heartbeat: gets no new work, is not called dead
	HealthDown                  // refuses connections, or has closed the probe's
)

// String returns the health's name.
func (h Health) String() string {
	switch h {
	case HealthUp:
		return "up"
	case HealthSuspect:
		return "suspect"
	case HealthDown:
		return "down"
	case HealthUnknown:
	}
	return "unknown"
}

// Phase is the state of a cluster as a whole.
//
//	unknown ─► steady ─► doubtful ─► steady (same primary, same epoch)
//	                        └─► leaderless ─► steady (another primary, epoch+1)
//	steady, doubtful, leaderless ─► split ─► steady or leaderless
type Phase uint8

// The phases.
const (
	PhaseUnknown    Phase = iota // nothing proven yet; → steady, leaderless, split
	PhaseSteady                  // one proven primary; → doubtful, leaderless, split, steady(epoch+1)
	PhaseDoubtful                // the primary stopped proving itself; → steady, leaderless, split
	PhaseLeaderless              // nobody may take writes; → steady, split
	PhaseSplit                   // two nodes claim writes and none is proven; → steady, leaderless
)

// String returns the phase's name.
func (p Phase) String() string {
	switch p {
	case PhaseSteady:
		return "steady"
	case PhaseDoubtful:
		return "doubtful"
	case PhaseLeaderless:
		return "leaderless"
	case PhaseSplit:
		return "split"
	case PhaseUnknown:
	}
	return "unknown"
}

// DCS is how the word of a cluster's DCS stands.
type DCS uint8

// The standings.
const (
	DCSNone    DCS = iota // none is configured
	DCSAwaited            // the router has just begun, or the DCS was configured a moment ago, and it has said nothing yet; → heard, lost
	DCSHeard              // its last word is younger than its lease: it counts; → lost
	DCSLost               // it is silent for longer than that; → heard
)

// String returns the standing's name.
func (d DCS) String() string {
	switch d {
	case DCSAwaited:
		return "awaited"
	case DCSHeard:
		return "heard"
	case DCSLost:
		return "lost"
	case DCSNone:
	}
	return "none"
}

// Node is one node in a snapshot.
type Node struct {
	ID           NodeID
	Address      string // host:port, or /directory:port for a unix socket
	Role         Role
	Health       Health
	ReadOnly     bool // default_transaction_read_only is on for everybody
	Incarnation  Incarnation
	SystemID     uint64
	Timeline     uint32
	WriteLSN     LSN    // primary: pg_current_wal_lsn()
	ReceiveLSN   LSN    // standby: pg_last_wal_receive_lsn()
	ReplayLSN    LSN    // standby: pg_last_wal_replay_lsn()
	LagBytes     uint64 // behind the primary's WriteLSN; meaningful when LagKnown
	LagKnown     bool
	LagTime      time.Duration // how old the state is that a standby shows; meaningful when LagTimeKnown
	LagTimeKnown bool
	Version      int           // server_version_num
	SeenAt       time.Time     // last answer
	StartedAt    time.Time     // when its postmaster was started
	Since        time.Time     // when Role or Health last changed
	Sync         bool          // a synchronous standby, by the last word of the DCS
	Agent        AgentState    // what its agent does with it; AgentUnknown when the agent is silent, or there is none
	Tags         Tags          // the last that its agent told
	Refused      string        // why the node may not be used ("" = it may): another system identifier, a timeline below the floor…
	SyncWait     SyncWait      // primary: commits that wait for a synchronous standby
	SyncWaited   time.Duration // … and for how long the oldest has been seen to wait
	Stalled      string        // why commits hang, or will; "" = they do not
	Problem      string        // why the node's last question has no answer, or what it did not let the probe see; "" when all is well
}

// Usable reports whether new work may go to the node at all.
func (n *Node) Usable() bool { return n.Health == HealthUp && n.Refused == "" && n.Role != RoleUnknown }

// Snapshot is the picture of one cluster at one moment. It is immutable once published (I7).
type Snapshot struct {
	Cluster     ClusterID
	Phase       Phase
	Epoch       Epoch
	Primary     NodeID // the node that may take writes; "" unless Phase is steady
	LastPrimary NodeID // the last node that could; "" if there never was one
	Since       time.Time
	SystemID    uint64        // the pinned system identifier; 0 while there is none
	Timeline    uint32        // the highest timeline ever accepted; 0 while there is none
	Nodes       []Node        // sorted by ID
	DCS         DCS           // how the word of the DCS stands
	Lease       time.Duration // for how long the DCS's word counts, Patroni's ttl; 0 while there was none
	Leader      NodeID        // who holds the leader key by the last word of the DCS, which may be old: see DCS; "" = nobody, or no DCS
	Paused      bool          // Patroni is paused, by the last word of the DCS: while that counts, the SQL witness alone decides
	Asked       Request       // what Patroni was asked for and has not done yet; none while the DCS is not heard
	Alarm       string        // what an operator must look at; "" when nothing
	Seq         uint64        // grows with every publication
	At          time.Time
}

// Node returns the node of that name, or nil.
func (s *Snapshot) Node(id NodeID) *Node {
	for i := range s.Nodes {
		if s.Nodes[i].ID == id {
			return &s.Nodes[i]
		}
	}
	return nil
}

// PrimaryNode returns the node that may take writes, or nil.
func (s *Snapshot) PrimaryNode() *Node {
	if s.Primary == "" {
		return nil
	}
	return s.Node(s.Primary)
}
