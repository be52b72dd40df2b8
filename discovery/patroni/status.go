package patroni

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// status is what a member says of itself (GET /leader, whose body is that of GET /patroni).
type status struct {
	state    topology.AgentState
	timeline uint32 // 0 = not said
	systemID uint64 // 0 = not said
	tags     topology.Tags
	unlocked bool   // as it last looked, nobody held the lock, or it cannot know
	failsafe bool   // it does not reach the DCS, and goes on because all members let it
	lastSeen *int64 // when it last read the DCS, in seconds of its clock since 1970; nil = not said
}

// parseStatus reads the answer. leads is what its HTTP status says: whether the member holds the lock.
func parseStatus(body []byte, leads bool) (status, error) {
	var said struct {
		State    string         `json:"state"`
		Role     string         `json:"role"`
		Timeline uint32         `json:"timeline"`
		SystemID string         `json:"database_system_identifier"`
		Tags     map[string]any `json:"tags"`
		Unlocked bool           `json:"cluster_unlocked"`
		Failsafe bool           `json:"failsafe_mode_is_active"`
		LastSeen *int64         `json:"dcs_last_seen"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return status{}, fmt.Errorf("no status: %w", err)
	}
	if said.State == "" {
		return status{}, fmt.Errorf("no status: it has no state")
	}
	s := status{
		state: agentState(said.State, said.Role, leads), timeline: said.Timeline, tags: parseTags(said.Tags),
		unlocked: said.Unlocked, failsafe: said.Failsafe, lastSeen: said.LastSeen,
	}
	if said.SystemID != "" {
		id, err := strconv.ParseUint(said.SystemID, 10, 64)
		if err != nil {
			return status{}, fmt.Errorf("no status: system identifier %.20q", said.SystemID)
		}
		s.systemID = id
	}
	return s, nil
}

// agentState translates Patroni's word. Role is the server's: one that runs and has not left recovery yet is called replica.
func agentState(state, role string, leads bool) topology.AgentState {
	switch state {
	case "running", "streaming", "in archive recovery":
		if role == "promoted" || leads && role == "replica" {
			return topology.AgentPromoting
		}
		return topology.AgentRunning
	case "starting", "restarting", "creating replica", "initializing new cluster", "running custom bootstrap script", "starting after custom bootstrap":
		return topology.AgentStarting
	case "stopping":
		return topology.AgentStopping
	case "stopped", "crashed", "start failed", "restart failed", "initdb failed", "custom bootstrap failed":
		return topology.AgentStopped
	}
	return topology.AgentUnknown
}

// parseTags reads those that say how a node may be used.
func parseTags(said map[string]any) topology.Tags {
	t := topology.Tags{
		NoLoadBalance: truthy(said["noloadbalance"]),
		NoStream:      truthy(said["nostream"]),
		NoFailover:    truthy(said["nofailover"]),
	}
	if priority, ok := said["failover_priority"].(float64); ok && said["nofailover"] == nil {
		t.NoFailover = priority <= 0
	}
	t.ReplicateFrom, _ = said["replicatefrom"].(string)
	return t
}

// truthy says what Patroni makes of a tag: it asks Python.
func truthy(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return v != ""
	case float64:
		return v != 0
	}
	return false
}

// looked returns how old what a member told of the DCS is, as the moment of our clock at which it may count as asked: that of the
// question, or an earlier one when the member has not read the DCS since. Both clocks of the difference are the member's, and each
// is cut to the second.
func (s *status) looked(asked, answered, memberClock time.Time) time.Time {
	if s.lastSeen == nil || memberClock.IsZero() {
		return asked
	}
	age := memberClock.Sub(time.Unix(*s.lastSeen, 0))
	if age <= answered.Sub(asked)+time.Second {
		return asked
	}
	return answered.Add(-age)
}
