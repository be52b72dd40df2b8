package event

import "time"

// Kind names what happened. The string is the value of the "event" key in the log and of the label in
// pgrouter_events_total.
type Kind string

// The kinds of events, in the order of a failover.
const (
	PrimaryDoubtful    Kind = "primary_doubtful"    // the primary stopped proving itself
	PrimaryLost        Kind = "primary_lost"        // no node may take writes
	PrimaryChanged     Kind = "primary_changed"     // another node took over, or the first was found
	PrimaryConfirmed   Kind = "primary_confirmed"   // the doubt ended with the same node
	SplitBrain         Kind = "split_brain"         // two nodes claim to be writable and none is proven
	SplitBrainHealed   Kind = "split_brain_healed"  // the conflict is over
	NodeRefused        Kind = "node_refused"        // a node of another cluster, or below the floor
	NodeUp             Kind = "node_up"             // a node answers
	NodeSuspect        Kind = "node_suspect"        // a node misses its heartbeat: no new work
	NodeDown           Kind = "node_down"           // a node refuses connections
	NodeRoleChanged    Kind = "node_role_changed"   // standby promoted, or the reverse
	PoolHeld           Kind = "pool_held"           // units of work wait
	PoolReleased       Kind = "pool_released"       // units of work go on
	HoldBegun          Kind = "hold_begun"          // no new unit of work begins on the primary; From is who wants that, Took for how long at most
	HoldEnded          Kind = "hold_ended"          // Reason says how; Took is how long it has lasted
	ReadOnlyBegun      Kind = "read_only_begun"     // no primary: work that asks for it goes to a standby (no_primary); Reason is the hold before
	ReadOnlyOver       Kind = "read_only_over"      // it does not any more; Took is how long it did
	SessionCut         Kind = "session_cut"         // a client lost its server in the middle of something
	UnitReplayed       Kind = "unit_replayed"       // a read was sent again to another node
	SwitchoverStarted  Kind = "switchover_started"  // a planned switchover began
	SwitchoverDone     Kind = "switchover_done"     // it ended well
	SwitchoverFailed   Kind = "switchover_failed"   // it was given up; everything was released
	FailoverReported   Kind = "failover_reported"   // the report of one event is complete
	ProtocolViolation  Kind = "protocol_violation"  // a server sent what nobody asked for; must stay 0
	ConfigReloaded     Kind = "config_reloaded"     // a new configuration is in force
	ConfigRefused      Kind = "config_refused"      // a faulty configuration changed nothing
	ConfigSet          Kind = "config_set"          // an operator changed one setting until the next reload
	AcceptPaused       Kind = "accept_paused"       // out of descriptors
	DatabasePaused     Kind = "database_paused"     // an operator holds new work; Took is how long at most
	DatabaseResumed    Kind = "database_resumed"    // the last pause of it was ended
	PauseExpired       Kind = "pause_expired"       // the last pause of it has ended by itself
	DatabaseDisabled   Kind = "database_disabled"   // new logins are refused
	DatabaseEnabled    Kind = "database_enabled"    // new logins are let in again
	DatabaseKilled     Kind = "database_killed"     // an operator has closed its clients; it is paused
	ServersReconnected Kind = "servers_reconnected" // server connections are closed as they are released; Count are in use
	ShutdownBegun      Kind = "shutdown_begun"      // the router goes away; Reason is how
	FloorLifted        Kind = "floor_lifted"        // the persisted floor was moved up, or reset by an operator
	DCSLost            Kind = "dcs_lost"            // the DCS is silent for longer than its lease; Reason is why, as far as known
	DCSBack            Kind = "dcs_back"            // it is heard again; Took is how long it was silent
	LeaderKeyMoved     Kind = "leader_key_moved"    // another node, or nobody, holds the leader key; From and To
	PatroniPaused      Kind = "patroni_paused"      // Patroni is paused: SQL alone says who is primary
	PatroniResumed     Kind = "patroni_resumed"     // the pause is over
	RequestSeen        Kind = "request_seen"        // Patroni was asked for a switchover or failover; From and To as far as given
	RequestGone        Kind = "request_gone"        // it is done, refused or taken back, or the DCS is silent
	CommitsStalled     Kind = "commits_stalled"     // commits of a node hang in the wait for a synchronous standby; Reason names it
	CommitsFlow        Kind = "commits_flow"        // they do not any more; Took is how long they did
	SourceSilent       Kind = "source_silent"       // a source of nodes has no answer any more; From is its name
	SourceBack         Kind = "source_back"         // it answers again; Took is how long it was silent
	StandbyLagging     Kind = "standby_lagging"     // a standby gets no reads: it is behind by more than max_lag or max_lag_time; Reason has the numbers
	StandbyCaughtUp    Kind = "standby_caught_up"   // it gets reads again; Took is how long it got none
	PeerSilent         Kind = "peer_silent"         // another router takes no orders: From is its address, Reason why
	PeerBack           Kind = "peer_back"           // it does again; Took is how long it did not
)

// Event is one thing that happened. Empty fields do not apply.
type Event struct {
	Time     time.Time
	Kind     Kind
	Cluster  string
	Database string // of an operator's order, by the name that clients use; AllDatabases
	Node     string // the node concerned
	From     string // former primary or state
	To       string // new primary or state
	Epoch    uint64
	Reason   string        // a HoldReason, CutReason, PinReason or free text for operators
	Took     time.Duration // how long the state that ended now had lasted
	Count    int           // how many clients, servers or units it concerned
}

// AllDatabases stands for every database, in events and in metrics; among orders that is the empty name.
const AllDatabases = "*"

// OfDatabase makes an event of a database, "" = of all.
func OfDatabase(k Kind, database string) Event {
	if database == "" {
		database = AllDatabases
	}
	return Event{Kind: k, Database: database}
}

// Sink receives events. Emit must not block and may be called from event loops: it hands over and returns.
type Sink interface{ Emit(Event) }

// Discard is a Sink that forgets everything.
type Discard struct{}

// Emit does nothing.
func (Discard) Emit(Event) {}
