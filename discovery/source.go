package discovery

import (
	"context"
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// Source finds the nodes of a cluster: a list in the configuration, or a service that knows. What it finds out beside the
// names it reports as observations, as a testimony of the whole cluster, or as what the nodes' agents say.
type Source interface {
	// Name tells the source in logs; sources of one Manager have different names.
	Name() string
	// Run reports through feed until ctx ends. It handles its own failures and tries again; an error that it returns while ctx
	// lives ends the Manager. A source that has told everything may return nil at any time: what it told stays.
	Run(ctx context.Context, feed *Feed) error
}

// Prober asks nodes how they are.
type Prober interface {
	// Open prepares to ask one node. It does not connect yet and cannot fail.
	Open(member topology.Member) Session
}

// Question says how a node is to be asked.
type Question struct {
	Heartbeat time.Duration // bounds the question on an open connection
	Awaited   bool          // another primary may appear any moment: what its proof needs should be at hand
}

// Session is the line to one node. It is used by one goroutine at a time.
type Session interface {
	// Probe asks the node once, connecting first where needed; how long connecting may take is the prober's affair. It always
	// brings an observation; when ctx ends it returns soon.
	Probe(ctx context.Context, q Question) topology.Observation
	// Wait rests until ctx ends, or returns earlier when the line says or loses something, so that it is time to ask.
	Wait(ctx context.Context)
	// Close gives up the line and waits until nothing of it is left.
	Close()
}

// Feed is where a source reports. Its methods may be called from any goroutine of the source; they wait for the Manager to
// take the report in, and drop it once the Manager has ended.
type Feed struct {
	manager *Manager
	source  string
	done    <-chan struct{}
	wanted  chan struct{}
}

// Members tells all nodes that this source knows, in place of those it told before. The cluster has the nodes of all its
// sources together; where two give the same node different addresses, the source with the lower name has its way.
func (f *Feed) Members(members []topology.Member) {
	f.manager.send(f.done, message{source: f.source, members: slices.Clone(members), announces: true})
}

// Observe reports what the source found out about nodes.
func (f *Feed) Observe(seen ...topology.Observation) {
	f.manager.send(f.done, message{seen: slices.Clone(seen)})
}

// Testify tells what the source says of the whole cluster; it counts where Config.DCS says so. A failure to ask is told too
// (Testimony.Problem). Testimony.Source is the source's own name, whatever it holds.
func (f *Feed) Testify(t topology.Testimony) {
	t.Source, t.Sync = f.source, slices.Clone(t.Sync)
	f.manager.send(f.done, message{said: []topology.Testimony{t}})
}

// Report tells what the agents of nodes say of them, or that they say nothing (Agent.Problem).
func (f *Feed) Report(agents ...topology.Agent) {
	f.manager.send(f.done, message{agents: slices.Clone(agents)})
}

// Trigger makes the probes of the node, or of all nodes when it is "" or not known, run at once. It never waits.
func (f *Feed) Trigger(node topology.NodeID) { f.manager.Trigger(node) }

// Wanted has a token when the source should look now instead of later: a node has begun to take writes while there is no primary, so that
// nothing may be missing but the source's word. It is one channel for the life of the Manager.
func (f *Feed) Wanted() <-chan struct{} { return f.wanted }
