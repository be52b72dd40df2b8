package event

// HoldReason says why a unit of work waits.
type HoldReason uint8

// The reasons to wait. Whatever it is, all who wait in a queue stand in one line.
const (
	HoldNone        HoldReason = iota
	HoldExhausted              // every server connection is taken
	HoldLimit                  // a limit across queues has no room for another server connection
	HoldPaused                 // an operator paused the database
	HoldNoPrimary              // no node may take writes
	HoldNoReplica              // no replica is up, fresh enough or allowed
	HoldSwitchover             // a planned switchover is under way
	HoldRequested              // Patroni was asked to move the primary
	HoldOrdered                // an operator, Patroni's before_stop or another router has ordered it
	HoldSplitBrain             // two nodes claim to be primary
	HoldDialFailing            // the node is known but no connection to it succeeds
	HoldClosing                // the router is going away
)

var holdNames = [...]string{"none", "exhausted", "server_limit", "paused", "no_primary", "no_replica", "switchover", "requested", "ordered", "split_brain", "dial_failing", "closing"}

// String returns the reason's name as metrics and console print it.
func (r HoldReason) String() string { return name(holdNames[:], int(r)) }

// CutReason says why a session lost its server connection.
type CutReason uint8

// The reasons to cut.
const (
	CutNone         CutReason = iota
	CutServerClosed           // the server closed or reset the connection
	CutServerFatal            // the server said FATAL
	CutNodeGone               // another primary is proven; this one's connections are cut
	CutRoleChanged            // the node changed its role under the session
	CutProtocol               // the server sent what nobody asked for
	CutKilled                 // an operator killed the session
	CutShutdown               // the router is going away
	CutTimeout                // a limit of the router's own ended it
	CutClientGone             // the client went away in the middle of its work
	CutDrainExpired           // a planned switchover's drain time was over
	CutSwitchover             // a planned switchover needs the node empty: pinned sessions lose their servers when their unit is over
	CutStandInOver            // a standby does not stand in for a primary any more (no_primary): sessions lose it when their unit is over
)

var cutNames = [...]string{"none", "server_closed", "server_fatal", "node_gone", "role_changed", "protocol", "killed", "shutdown", "timeout", "client_gone", "drain_expired", "switchover", "stand_in_over"}

// String returns the reason's name as metrics and console print it.
func (r CutReason) String() string { return name(cutNames[:], int(r)) }

// PinReason says why a session keeps its server connection between units of work.
type PinReason uint8

// The reasons to pin.
const (
	PinNone              PinReason = iota
	PinSession                     // pool mode session
	PinSetting                     // a setting whose name or value cannot be moved
	PinRole                        // SET ROLE or SET SESSION AUTHORIZATION in code
	PinPreparedStatement           // a named statement, protocol level or PREPARE
	PinListen                      // LISTEN
	PinTempTable                   // CREATE TEMP …
	PinCursor                      // DECLARE … WITH HOLD
	PinAdvisoryLock                // a session-level advisory lock
	PinLoad                        // LOAD
	PinSequence                    // currval or lastval: the numbers that it has drawn
	PinUncertain                   // the router cannot prove what the server holds
)

var pinNames = [...]string{"none", "session_mode", "setting", "role", "prepared_statement", "listen", "temp_table", "cursor", "advisory_lock", "load", "sequence", "uncertain"}

// String returns the reason's name as metrics and console print it.
func (r PinReason) String() string { return name(pinNames[:], int(r)) }

// CloseReason says why a client connection ended.
type CloseReason uint8

// The reasons for the end of a client connection.
const (
	CloseNone            CloseReason = iota
	CloseByClient                    // Terminate, or end of input
	CloseClientReset                 // the client's socket failed
	CloseCut                         // its server was cut and the contract says FATAL
	CloseWaitTimeout                 // it waited too long for a server
	CloseHoldTimeout                 // no node for longer than hold_timeout
	CloseQueueFull                   // hold_max_clients or hold_max_bytes
	CloseKilled                      // an operator killed it
	CloseShutdown                    // the router is going away
	CloseProtocol                    // the client broke the protocol
	CloseQueryTimeout                // query_timeout
	CloseIdleTransaction             // idle_transaction_timeout
	CloseClientIdle                  // client_idle_timeout
	CloseServerError                 // no server connection could be opened
	CloseReconfigured                // a reload removed its user or its listener
)

var closeNames = [...]string{"none", "by_client", "client_reset", "cut", "wait_timeout", "hold_timeout", "queue_full", "killed", "shutdown", "protocol", "query_timeout", "idle_transaction_timeout", "client_idle_timeout", "server_error", "reconfigured"}

// String returns the reason's name as metrics and console print it.
func (r CloseReason) String() string { return name(closeNames[:], int(r)) }

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}
