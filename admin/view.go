package admin

import (
	"context"
	"time"

	"github.com/pgrouter/pgrouter/discovery/dns"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/topology"
)

// Door is one listener, as it is open.
type Door struct {
	Address string `json:"address"`
	Cluster string `json:"cluster"`
	Route   string `json:"route"`
}

// World is what there is to look at. Its methods may be called from any goroutine and return copies.
type World interface {
	Clusters() []*topology.Snapshot
	Queues() []pool.QueueStats
	Servers() []pool.ServerStats
	Clients() []proxy.ClientInfo
	Totals() proxy.Totals
	Traffic() []proxy.DatabaseTraffic
	Failovers() []failover.Report
	Holds() []HoldView // those in force
	Peers() []PeerView // the other routers, in the order of the configuration
	Doors() []Door
	Hosts() []dns.Host // names that are followed, of all clusters
	// Database reports whether a database, by the name that clients use, was asked for by a client or is named in the
	// configuration, and whether it is paused. "" is all.
	Database(name string) (known, paused bool)
	// Holders tells which clients of a database, "" = of all, have a server connection now, as far as it is known before ctx ends.
	Holders(ctx context.Context, database string) []proxy.Holder
	// Setup returns what is configured.
	Setup() Setup
	// Serves reports whether a route of a cluster has a node now, and why not.
	Serves(cluster, route string) (ok bool, why string)
}

// View is the one picture that the JSON, the page and the console show.
type View struct {
	Version   string            `json:"version"`
	Started   time.Time         `json:"started"`
	Now       time.Time         `json:"now"`
	Ready     bool              `json:"ready"`
	NotReady  string            `json:"not_ready,omitempty"`
	Config    ConfigView        `json:"config"`
	Clusters  []ClusterView     `json:"clusters"`
	Pools     []PoolView        `json:"pools"`
	Listeners []Door            `json:"listeners"`
	Clients   ClientCounts      `json:"clients"`
	Totals    TotalsView        `json:"totals"`
	Failovers []failover.Report `json:"failovers"`
	Events    []EventView       `json:"events"`
	Holds     []HoldView        `json:"holds"`
	Peers     []PeerView        `json:"peers"`
}

// ConfigView is what has become of the configuration.
type ConfigView struct {
	ReadAt         time.Time `json:"read_at"`
	Failed         bool      `json:"failed"` // what was read last has faults and changed nothing
	RestartPending []string  `json:"restart_pending"`
}

// TotalsView is the counters of all clients since the start (see proxy.Totals).
type TotalsView struct {
	Units        uint64            `json:"units"`
	HoldExpired  uint64            `json:"hold_expired"`
	Replayed     uint64            `json:"replayed"`
	Requeued     uint64            `json:"requeued"`
	InDoubt      uint64            `json:"in_doubt"`
	Aborted      uint64            `json:"aborted"`
	Violations   uint64            `json:"violations"` // must stay 0
	ErrorsByCode map[string]uint64 `json:"errors_by_sqlstate"`
}

// EventView is one event. Empty fields do not apply.
type EventView struct {
	Time     time.Time  `json:"time"`
	Kind     event.Kind `json:"event"`
	Cluster  string     `json:"cluster,omitempty"`
	Node     string     `json:"node,omitempty"`
	From     string     `json:"from,omitempty"`
	To       string     `json:"to,omitempty"`
	Database string     `json:"database,omitempty"`
	Epoch    uint64     `json:"epoch,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Took     float64    `json:"took_seconds,omitempty"` // how long the state that ended lasted
	Count    int        `json:"count,omitempty"`
}

// ClusterView is one cluster.
type ClusterView struct {
	Name     string     `json:"name"`
	Phase    string     `json:"phase"`
	Primary  string     `json:"primary"`
	Last     string     `json:"last_primary"`
	Epoch    uint64     `json:"epoch"`
	Since    time.Time  `json:"since"`
	Alarm    string     `json:"alarm,omitempty"`
	SystemID uint64     `json:"system_identifier,string"` // that is accepted; 0: none yet
	Timeline uint32     `json:"timeline"`                 // the highest that was accepted
	Nodes    []NodeView `json:"nodes"`

	DCS     string       `json:"dcs"`                       // none, awaited, heard or lost
	Leader  string       `json:"leader"`                    // who holds the leader key by the last word of the DCS; "": nobody
	Paused  bool         `json:"patroni_paused"`            // by the last word of the DCS
	Asked   *RequestView `json:"patroni_request,omitempty"` // what Patroni was asked for and has not done yet
	Notices []string     `json:"notices"`                   // what an operator should know, although it is no alarm
}

// NodeView is one node.
type NodeView struct {
	Node     string    `json:"node"`
	Role     string    `json:"role"`
	Health   string    `json:"health"`
	Primary  bool      `json:"is_primary"`
	Timeline uint32    `json:"timeline"`
	LagBytes *uint64   `json:"lag_bytes"`   // null: not known
	LagTime  *float64  `json:"lag_seconds"` // how old the state is that it shows, to the interval of probes; null: not known
	SeenAt   time.Time `json:"seen_at"`
	Since    time.Time `json:"since"`
	Version  int       `json:"server_version_num"`
	Refused  string    `json:"refused,omitempty"`
	Stalled  string    `json:"stalled,omitempty"` // why its commits hang in the wait for a synchronous standby, or will
	Waiting  int       `json:"syncrep_waiting"`   // commits that wait for a synchronous standby
	Waited   float64   `json:"syncrep_oldest_seconds"`
	Address  string    `json:"address"` // where it is reached
	SystemID uint64    `json:"system_identifier,string"`
	ReadOnly bool      `json:"read_only"`         // default_transaction_read_only is on for everybody
	Problem  string    `json:"problem,omitempty"` // why its last question has no answer, or what it did not let the probe see
	Leader   bool      `json:"holds_leader_key"`  // by the last word of the DCS
	Sync     bool      `json:"synchronous"`       // a synchronous standby, by the last word of the DCS
	Agent    string    `json:"agent"`             // what its Patroni does with it; "unknown": it is silent, or there is none
	Tags     []string  `json:"tags"`              // those of Patroni's that say how it may be used
}

// PoolView is one queue.
type PoolView struct {
	Database string  `json:"database"`
	User     string  `json:"user"`
	Cluster  string  `json:"cluster"`
	Route    string  `json:"route"`
	Active   int     `json:"servers_active"`
	Idle     int     `json:"servers_idle"`
	Opening  int     `json:"servers_opening"`
	Waiting  int     `json:"clients_waiting"`
	Reason   string  `json:"waiting_for,omitempty"`
	StandIn  string  `json:"read_only_on,omitempty"` // the standby that serves in the place of a primary
	Oldest   float64 `json:"oldest_wait_seconds"`
	Size     int     `json:"size_per_node"`
}

// ClientCounts counts client connections.
type ClientCounts struct {
	All     int `json:"all"`
	Active  int `json:"active"`
	Waiting int `json:"waiting"`
	Idle    int `json:"idle"`
	Pinned  int `json:"pinned"`

	PinnedBy map[string]int `json:"pinned_by,omitempty"` // by the reason that SHOW CLIENTS has
}

func viewConfig(r *Reload) ConfigView {
	return ConfigView{ReadAt: r.At, Failed: r.Failed, RestartPending: list(r.Pending)}
}

// View makes the picture of this moment.
func (a *Admin) View() View {
	v := View{
		Version: a.cfg.Load().Version, Started: a.started, Now: time.Now(), Listeners: list(a.world.Doors()), Totals: viewTotals(a.world.Totals()),
		Config: viewConfig(a.reload.Load()), Failovers: list(a.world.Failovers()), Clusters: []ClusterView{}, Pools: []PoolView{}, Events: []EventView{},
		Holds: list(a.world.Holds()), Peers: list(a.world.Peers()),
	}
	for _, e := range a.journal.Last() {
		v.Events = append(v.Events, viewEvent(e))
	}
	v.Ready, v.NotReady = a.ready()
	for _, s := range a.world.Clusters() {
		v.Clusters = append(v.Clusters, viewCluster(s))
	}
	for _, q := range a.world.Queues() {
		v.Pools = append(v.Pools, viewPool(q))
	}
	for _, c := range a.world.Clients() {
		v.Clients.add(c)
	}
	return v
}

// list makes nothing an empty list: JSON would call it null.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func viewTotals(t proxy.Totals) TotalsView {
	codes := t.ErrorsByCode
	if codes == nil {
		codes = map[string]uint64{}
	}
	return TotalsView{
		Units: t.Units, HoldExpired: t.HoldExpired, Replayed: t.Replayed, Requeued: t.Requeued, InDoubt: t.InDoubt, Aborted: t.Aborted,
		Violations: t.Violations, ErrorsByCode: codes,
	}
}

func viewEvent(e event.Event) EventView {
	return EventView{
		Time: e.Time, Kind: e.Kind, Cluster: e.Cluster, Node: e.Node, From: e.From, To: e.To, Database: e.Database, Epoch: e.Epoch, Reason: e.Reason,
		Took: e.Took.Seconds(), Count: e.Count,
	}
}

func (n *ClientCounts) add(c proxy.ClientInfo) {
	n.All++
	switch c.State {
	case "active":
		n.Active++
	case "waiting":
		n.Waiting++
	case "idle":
		n.Idle++
	}
	if c.Pinned != "" {
		n.Pinned++
		if n.PinnedBy == nil {
			n.PinnedBy = make(map[string]int)
		}
		n.PinnedBy[c.Pinned]++
	}
}

func viewPool(q pool.QueueStats) PoolView {
	v := PoolView{
		Database: q.Key.Database, User: q.Key.User, Cluster: string(q.Key.Cluster), Route: q.Key.Route.String(), Waiting: q.Waiting,
		Oldest: q.Oldest.Seconds(), Size: q.Size, StandIn: string(q.StandIn),
	}
	if q.Waiting > 0 {
		v.Reason = q.Reason.String()
	}
	for _, n := range q.Nodes {
		v.Active += n.Linked
		v.Idle += n.Idle
		v.Opening += n.Dialing
	}
	return v
}
