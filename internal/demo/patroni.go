package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

const (
	patroniLookEvery = 200 * time.Millisecond // each look costs the agents a thread and a query
	healLimit        = 2 * time.Minute        // for a killed node to be a standby again, with a base backup if need be
)

// patroni is a cluster that Patroni's agents run, with an etcd of their own. Commits wait for a standby.
type patroni struct {
	*testcluster.PatroniCluster
	mu struct {
		sync.Mutex
		leader patroniNode // the last one that was seen
	}
}

// patroniNode is a node whose agent starts and stops PostgreSQL.
type patroniNode struct{ *testcluster.PatroniNode }

// Running reports whether the agent runs.
func (n patroniNode) Running() bool { return n.AgentRunning() }

func startPatroni(ctx context.Context, roles []testcluster.Role) (ground, error) {
	cluster, err := testcluster.StartPatroni(ctx, testcluster.PatroniOptions{
		Synchronous: testcluster.SyncOn, Options: testcluster.Options{Roles: roles},
	})
	if err != nil {
		return nil, err
	}
	g := &patroni{PatroniCluster: cluster}
	g.mu.leader = patroniNode{cluster.Node(0)}
	return g, nil
}

// String says what it is.
func (g *patroni) String() string {
	return fmt.Sprintf("%d nodes under Patroni (ttl %.0f s) and etcd", len(g.Nodes()), g.TTL().Seconds())
}

func (g *patroni) hint() string {
	return "agents  patronictl -c " + g.Node(0).ConfigFile() + " list"
}

func (g *patroni) nodes() (all []node) {
	for _, n := range g.Nodes() {
		all = append(all, patroniNode{n})
	}
	return all
}

func (g *patroni) primary() node {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.leader
}

func (g *patroni) findPrimary(ctx context.Context) (node, error) {
	n, err := g.Leader(ctx)
	if err != nil {
		return nil, err
	}
	return patroniNode{n}, nil
}

func (g *patroni) settle(ctx context.Context) error { return g.AwaitReady(ctx) }

// candidate returns the synchronous standby: Patroni takes no other.
func (g *patroni) candidate(ctx context.Context) (node, error) {
	n := g.View(ctx).Synchronous()
	if n == nil {
		return nil, errors.New("no standby is synchronous")
	}
	return patroniNode{n}, nil
}

// keep looks who leads. After a failure it starts the killed node again, as its machine would.
func (g *patroni) keep(ctx context.Context, options Options, tell func(entry)) {
	w := &patroniWatch{ground: g, tell: tell, delay: options.FailoverDelay}
	for ctx.Err() == nil {
		w.look(ctx)
		_ = pause(ctx, patroniLookEvery) // ended by ctx: the loop's condition says so
	}
}

// patroniWatch turns what the agents say into entries of the journal.
type patroniWatch struct {
	ground  *patroni
	tell    func(entry)
	delay   time.Duration // how long a killed node stays down once another leads
	mourned bool          // the leader's death was told
}

func (w *patroniWatch) look(ctx context.Context) {
	was := w.ground.primary()
	if !was.Running() && !w.mourned {
		w.mourned = true
		w.note(testcluster.PrimaryKilled, was, nil)
	}
	if leader := w.ground.View(ctx).Leader(); leader != nil && (patroniNode{leader}) != was {
		w.ground.lead(leader)
		w.note(testcluster.Promoted, patroniNode{leader}, nil)
		w.mourned = false
		w.heal(ctx, was)
	}
}

// lead notes who leads now.
func (g *patroni) lead(n *testcluster.PatroniNode) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.leader = patroniNode{n}
}

// heal waits until everybody follows the new leader, the old one too.
func (w *patroniWatch) heal(ctx context.Context, was node) {
	limit, cancel := context.WithTimeoutCause(ctx, healLimit, fmt.Errorf("not all nodes follow the new leader after %v", healLimit))
	defer cancel()
	err := w.restart(limit)
	if err == nil {
		err = w.ground.AwaitReady(limit)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		w.note(testcluster.SupervisionErr, was, err)
		return
	}
	w.note(testcluster.NodeRejoined, was, nil)
}

// restart starts the agents that were killed.
func (w *patroniWatch) restart(ctx context.Context) error {
	for _, n := range w.ground.Nodes() {
		if n.AgentRunning() {
			continue
		}
		if err := pause(ctx, w.delay); err != nil {
			return err
		}
		if err := n.Restart(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *patroniWatch) note(kind testcluster.SupervisionKind, n node, err error) {
	e := entry{at: time.Now(), source: sourcePatroni, kind: string(kind), node: n.Name()}
	if err != nil {
		e.text = err.Error()
	}
	w.tell(e)
}

func (g *patroni) describe(setup *Setup) {
	setup.Etcd, setup.Scope = g.Endpoints(), testcluster.PatroniScope
	for _, n := range g.Nodes() {
		setup.Agents = append(setup.Agents, n.RESTAddr())
	}
}
