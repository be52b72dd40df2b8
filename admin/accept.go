package admin

import (
	"cmp"
	"context"
	"strconv"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/topology"
)

// AcceptRequest is the body of POST /api/v1/accept-cluster. It must name what is accepted: what somebody has looked at may be another by now.
type AcceptRequest struct {
	Cluster  string `json:"cluster"`
	SystemID uint64 `json:"system_identifier,string"`
	Timeline uint32 `json:"timeline"`
	By       string `json:"by"`
	from     string // the machine that sent it
}

// AcceptAnswer is its answer.
type AcceptAnswer struct {
	Accepted string `json:"accepted"` // the cluster
}

const acceptExample = `{"cluster":"main","system_identifier":"7301215447233","timeline":1,"by":"anna"}`

// heard notes from which machine the order came.
func (o *AcceptRequest) heard(from string) { o.from = from }

// postAcceptCluster moves a cluster's floor to what its writable node says.
func (a *Admin) postAcceptCluster(ctx context.Context, o *AcceptRequest) (any, error) {
	if o.SystemID == 0 || o.Timeline == 0 {
		return nil, &mistake{"system_identifier and timeline must name what is accepted", acceptExample}
	}
	cluster := a.sole(o.Cluster)
	word := topology.Acceptance{SystemID: o.SystemID, Timeline: o.Timeline, By: cmp.Or(o.By, "somebody") + " from " + o.from}
	if err := a.actions.AcceptCluster(ctx, cluster, word); err != nil {
		return nil, err
	}
	return AcceptAnswer{Accepted: cluster}, nil
}

// acceptCluster is the same from the console.
func acceptCluster(ctx context.Context, a *Admin, by string, args []string) ([]*pgwire.Error, error) {
	const least = 2
	syntax := func(near string) error {
		return pgwire.ErrConsoleSyntax.New("ACCEPT_CLUSTER takes a system identifier and a timeline, as SHOW NODES has them, and a cluster if there are several.", near)
	}
	if len(args) < least {
		return nil, syntax("ACCEPT_CLUSTER")
	}
	system, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil || system == 0 {
		return nil, syntax(args[0])
	}
	timeline, err := strconv.ParseUint(args[1], 10, 32)
	if err != nil || timeline == 0 {
		return nil, syntax(args[1])
	}
	cluster := a.sole(first(args[least:]))
	return nil, a.actions.AcceptCluster(ctx, cluster, topology.Acceptance{SystemID: system, Timeline: uint32(timeline), By: by})
}
