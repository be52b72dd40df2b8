package admin

import (
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// RequestView is a switchover or failover that Patroni was asked for.
type RequestView struct {
	From string    `json:"from,omitempty"` // "": whoever leads
	To   string    `json:"to,omitempty"`   // "": whom Patroni chooses
	At   time.Time `json:"at,omitzero"`    // zero: at once
}

// String says it in a sentence's words.
func (r *RequestView) String() string {
	text := "a switchover"
	if r.From != "" {
		text += " from " + r.From
	}
	if r.To != "" {
		text += " to " + r.To
	}
	if !r.At.IsZero() {
		text += " at " + timeText(r.At)
	}
	return text
}

func viewCluster(s *topology.Snapshot) ClusterView {
	v := ClusterView{
		Nodes: []NodeView{}, Name: string(s.Cluster), Phase: s.Phase.String(), Primary: string(s.Primary), Last: string(s.LastPrimary), Epoch: uint64(s.Epoch),
		Since: s.Since, Alarm: s.Alarm, SystemID: s.SystemID, Timeline: s.Timeline,
		DCS: s.DCS.String(), Leader: string(s.Leader), Paused: s.Paused, Notices: []string{},
	}
	if s.Asked.Pending {
		v.Asked = &RequestView{From: string(s.Asked.From), To: string(s.Asked.To), At: s.Asked.At}
		v.Notices = append(v.Notices, "Patroni was asked for "+v.Asked.String())
	}
	switch {
	case s.Paused && s.DCS == topology.DCSHeard:
		v.Notices = append(v.Notices, "Patroni is paused: it fails nobody over, and SQL alone says who is primary (patronictl resume)")
	case s.Paused:
		v.Notices = append(v.Notices, "Patroni was paused when the DCS was last heard")
	}
	for i := range s.Nodes {
		v.Nodes = append(v.Nodes, viewNode(s, &s.Nodes[i]))
	}
	return v
}

func viewNode(s *topology.Snapshot, n *topology.Node) NodeView {
	v := NodeView{
		Node: string(n.ID), Role: n.Role.String(), Health: n.Health.String(), Primary: n.ID == s.Primary, Timeline: n.Timeline,
		SeenAt: n.SeenAt, Since: n.Since, Version: n.Version, Refused: n.Refused, Address: n.Address, SystemID: n.SystemID, ReadOnly: n.ReadOnly,
		Stalled: n.Stalled, Waiting: n.SyncWait.Waiting, Waited: n.SyncWaited.Seconds(),
		Problem: n.Problem, Leader: s.Leader != "" && n.ID == s.Leader, Sync: n.Sync, Agent: n.Agent.String(), Tags: viewTags(n.Tags),
	}
	if n.LagKnown {
		lag := n.LagBytes
		v.LagBytes = &lag
	}
	if n.LagTimeKnown {
		lag := n.LagTime.Seconds()
		v.LagTime = &lag
	}
	return v
}

// viewTags names tags as Patroni does.
func viewTags(t topology.Tags) []string {
	tags := []string{}
	for _, tag := range []struct {
		name string
		set  bool
	}{{"noloadbalance", t.NoLoadBalance}, {"nostream", t.NoStream}, {"nofailover", t.NoFailover}} {
		if tag.set {
			tags = append(tags, tag.name)
		}
	}
	if t.ReplicateFrom != "" {
		tags = append(tags, "replicatefrom="+t.ReplicateFrom)
	}
	return tags
}
