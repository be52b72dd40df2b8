package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/topology"
)

// acceptOrder is the body of an accept-cluster. It must name what is accepted: what somebody has looked at may be another by now.
type acceptOrder struct {
	Cluster  string `json:"cluster"`
	SystemID uint64 `json:"system_identifier,string"`
	Timeline uint32 `json:"timeline"`
	By       string `json:"by"`
}

const acceptExample = `{"cluster":"main","system_identifier":"7301215447233","timeline":1,"by":"anna"}`

// postAcceptCluster moves a cluster's floor to what its writable node says. It goes on when the client goes away, as a switchover does.
func (a *Admin) postAcceptCluster(w http.ResponseWriter, r *http.Request) {
	if !a.mayPost(w, r, acceptExample) {
		return
	}
	var o acceptOrder
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyLimit))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&o)
	switch {
	case err != nil:
		a.answer(w, http.StatusBadRequest, failure{err.Error(), acceptExample})
		return
	case o.SystemID == 0 || o.Timeline == 0:
		a.answer(w, http.StatusBadRequest, failure{"system_identifier and timeline must name what is accepted", acceptExample})
		return
	}
	who := cmp.Or(o.By, "somebody") + " from " + host(r.RemoteAddr)
	cluster := a.meantCluster(o.Cluster)
	if err := a.actions.AcceptCluster(a.life, cluster, topology.Acceptance{SystemID: o.SystemID, Timeline: o.Timeline, By: who}); err != nil {
		a.answer(w, http.StatusConflict, failure{Error: err.Error()})
		return
	}
	a.answer(w, http.StatusOK, map[string]string{"accepted": cluster})
}

// meantCluster returns the cluster that an order names, or the only one.
func (a *Admin) meantCluster(name string) string {
	if all := a.world.Clusters(); name == "" && len(all) == 1 {
		return string(all[0].Cluster)
	}
	return name
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
	cluster := a.meantCluster(first(args[least:]))
	return nil, a.actions.AcceptCluster(ctx, cluster, topology.Acceptance{SystemID: system, Timeline: uint32(timeline), By: by})
}
