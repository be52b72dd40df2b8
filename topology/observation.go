package topology

import "time"

// Outcome is how a question to a node ended.
type Outcome uint8

// The outcomes. Only Refused and Stopping prove that a node takes no writes; Missed proves nothing at all.
const (
	OutcomeUnknown  Outcome = iota
	OutcomeAnswered         // the node answered in time: up
	OutcomeMissed           // no answer before the deadline, no route, no address: suspect
	OutcomeRefused          // nobody listens on its port: down, and proven stopped
	OutcomeReset            // the connection was closed or reset, again after dialling anew: down
	OutcomeStarting         // 57P03: starting up, recovering, not yet accepting connections: down
	OutcomeStopping         // 57P03: shutting down: down, and proven to stop
	OutcomeDenied           // the server runs but does not let the probe in (password, HBA, too many connections): suspect
	OutcomeFailed           // the server runs but the question failed: suspect
)

// String returns the outcome's name as metrics print it.
func (o Outcome) String() string {
	switch o {
	case OutcomeAnswered:
		return "answered"
	case OutcomeMissed:
		return "missed"
	case OutcomeRefused:
		return "refused"
	case OutcomeReset:
		return "reset"
	case OutcomeStarting:
		return "starting"
	case OutcomeStopping:
		return "stopping"
	case OutcomeDenied:
		return "denied"
	case OutcomeFailed:
		return "failed"
	case OutcomeUnknown:
	}
	return "unknown"
}

// health returns what the outcome says about the node's heartbeat.
func (o Outcome) health() Health {
	switch o {
	case OutcomeAnswered:
		return HealthUp
	case OutcomeRefused, OutcomeReset, OutcomeStarting, OutcomeStopping:
		return HealthDown
	case OutcomeMissed, OutcomeDenied, OutcomeFailed, OutcomeUnknown:
	}
	return HealthSuspect
}

// Observation is what one question to one node brought. From Role on, the fields mean something only when Outcome is
// OutcomeAnswered; they are what the node says of itself, all of one moment.
type Observation struct {
	Node    NodeID
	At      time.Time // when the question was asked: an answer is never fresher than its question
	Outcome Outcome
	Problem string // why there is no answer, for operators; holds no secrets

	Role       Role
	ReadOnly   bool // default_transaction_read_only is on for everybody
	SystemID   uint64
	Timeline   uint32
	StartedAt  time.Time // pg_postmaster_start_time()
	WriteLSN   LSN
	ReceiveLSN LSN
	ReplayLSN  LSN
	ReplayAge  time.Duration // how long ago, by the node's clock, what it replayed last was committed; 0 = not known
	Version    int
	SyncWait   SyncWait
	History    History // of Timeline; asked for only of writable nodes
	Note       string  // what the node did not let the probe see, and how to allow it; "" when nothing
}
