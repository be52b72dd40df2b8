package topology

import "time"

// ChangeKind names what a reduction changed. The strings are those of the kinds of package event, which this package does
// not import; discovery's tests hold the two together.
type ChangeKind string

// The kinds of changes.
const (
	ChangePrimaryDoubtful  ChangeKind = "primary_doubtful"
	ChangePrimaryLost      ChangeKind = "primary_lost"
	ChangePrimaryChanged   ChangeKind = "primary_changed"
	ChangePrimaryConfirmed ChangeKind = "primary_confirmed"
	ChangeSplitBrain       ChangeKind = "split_brain"
	ChangeSplitBrainHealed ChangeKind = "split_brain_healed"
	ChangeNodeRefused      ChangeKind = "node_refused"
	ChangeNodeUp           ChangeKind = "node_up"
	ChangeNodeSuspect      ChangeKind = "node_suspect"
	ChangeNodeDown         ChangeKind = "node_down"
	ChangeNodeRole         ChangeKind = "node_role_changed"
	ChangeFloorLifted      ChangeKind = "floor_lifted"
	ChangeDCSLost          ChangeKind = "dcs_lost"
	ChangeDCSBack          ChangeKind = "dcs_back"
	ChangeLeaderKeyMoved   ChangeKind = "leader_key_moved"
	ChangePatroniPaused    ChangeKind = "patroni_paused"
	ChangePatroniResumed   ChangeKind = "patroni_resumed"
	ChangeRequestSeen      ChangeKind = "request_seen"
	ChangeRequestGone      ChangeKind = "request_gone"
	ChangeCommitsStalled   ChangeKind = "commits_stalled"
	ChangeCommitsFlow      ChangeKind = "commits_flow"
)

// Change is one thing that a reduction changed. Empty fields do not apply.
type Change struct {
	Kind   ChangeKind
	Node   NodeID
	From   string // former primary, role or timeline
	To     string // new primary, role or timeline
	Epoch  Epoch
	Reason string
	Took   time.Duration // how long the state that ended now had lasted
}

// change names the arrival of a node at this health.
func (h Health) change() ChangeKind {
	switch h {
	case HealthUp:
		return ChangeNodeUp
	case HealthDown:
		return ChangeNodeDown
	case HealthSuspect, HealthUnknown:
	}
	return ChangeNodeSuspect
}
