package failover

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// The ways in which a switchover is refused before anything is touched.
var (
	ErrBusy       = errors.New("another switchover of this cluster is under way")
	ErrClosed     = errors.New("the router is shutting down")
	ErrNoPrimary  = errors.New("the cluster has no proven primary: a switchover needs one (see SHOW NODES)")
	ErrNoDemotion = errors.New("no demote_command is configured: a plain cluster's old primary must be stopped or made read-only before another is promoted")
	ErrNoManager  = errors.New("the cluster is led by Patroni, which the router cannot ask for a switchover: set urls in [cluster.NAME.patroni]")
	ErrNoStandby  = errors.New("the cluster has no standby that could take over (see SHOW NODES)")
	ErrElsewhere  = errors.New("another router moves the primary of this cluster, nothing was touched (see SHOW HOLDS, and SHOW FAILOVERS there)")
	ErrChanged    = errors.New("the cluster has changed while running units ended, nothing was touched")
)

const (
	warmMost     = 64 // connections to the candidate that are opened ahead
	switchoverID = "switchover-"
	nameLength   = 8 // random letters of a switchover's name
)

// Switchover makes a standby, to, the primary without an error for anybody: new units of work are held, here and on other routers,
// running ones end, the primary moves, and the units go on there. Patroni moves it where it leads the cluster, and chooses the standby if
// to is ""; else it is demoted and promoted by the configured commands, and "" is the standby with the least lag. within bounds the wait
// for running units (0: the configured drain_timeout); a *BlockedError tells whose did not end. When it fails, everything is released; the
// error says what was done. The end of ctx, or Close, ends it only until the old primary is touched: half of it would leave the cluster
// without a primary.
func (c *Conductor) Switchover(ctx context.Context, to topology.NodeID, within time.Duration) error {
	ctx, err := c.beginSwitchover(ctx)
	if err != nil {
		return err
	}
	defer c.endSwitchover()
	m, err := c.plan(to, within)
	if err != nil {
		return err
	}
	c.emit(event.Event{Kind: event.SwitchoverStarted, From: string(m.from.node), To: string(m.to)})
	c.openPlanned(m.from.node, m.to)
	if err := m.run(ctx); err != nil {
		c.dropPlanned(err)
		c.emit(event.Event{Kind: event.SwitchoverFailed, From: string(m.from.node), To: string(m.to), Reason: err.Error()})
		return err
	}
	c.emit(event.Event{Kind: event.SwitchoverDone, From: string(m.from.node), To: string(m.became)})
	if m.to != "" && m.became != m.to {
		return fmt.Errorf("%s is the primary now: Patroni has chosen it instead of %s", m.became, m.to)
	}
	return nil
}

// move is a switchover under way.
type move struct {
	conductor *Conductor
	cfg       Config // as it was when it began
	name      string
	from      life
	to        topology.NodeID // "" = whom the manager chooses
	managed   bool            // the manager moves the primary
	became    topology.NodeID // who is primary in the end
}

// plan refuses a switchover that could not work, before anything is touched.
func (c *Conductor) plan(to topology.NodeID, within time.Duration) (*move, error) {
	m := &move{conductor: c, cfg: *c.cfg.Load(), to: to, managed: c.managed(), name: switchoverID + rand.Text()[:nameLength]}
	if within > 0 {
		m.cfg.DrainTimeout = within
	}
	snap := c.deps.Topology.Snapshot()
	switch {
	case m.cfg.DrainTimeout > MostLease:
		return nil, fmt.Errorf("running units would be waited for up to %s: nothing is held for longer than %s", m.cfg.DrainTimeout, MostLease)
	case m.managed:
	case len(m.cfg.DemoteCommand) > 0:
	case snap != nil && snap.DCS != topology.DCSNone:
		return nil, ErrNoManager
	default:
		return nil, ErrNoDemotion
	}
	if snap == nil || snap.Primary == "" {
		return nil, ErrNoPrimary
	}
	if c.summoned() {
		return nil, ErrElsewhere
	}
	m.from = lifeOf(snap)
	best := bestStandby(snap)
	switch {
	case to != "":
		return m, c.eligible(snap, to)
	case best == "":
		return nil, ErrNoStandby
	case !m.managed:
		m.to = best
	}
	return m, nil
}

// managed reports whether there is a manager that can be asked.
func (c *Conductor) managed() bool { return c.deps.Agents != nil && c.deps.Agents.Configured() }

// run moves the primary while new units are held, and releases them whatever comes of it: here at once, then on the other routers.
func (m *move) run(ctx context.Context) error {
	c := m.conductor
	summoned := c.summon(HoldOrder{ID: m.name, By: "switchover at " + hostname(), Lease: peerLease, Wait: m.cfg.DrainTimeout})
	defer summoned.dismiss()
	lease := 2*m.cfg.DrainTimeout + 3*m.cfg.SwitchTimeout // all that it waits for has ended by then
	own := hold{Hold: Hold{ID: m.name, By: "switchover", Why: event.HoldSwitchover}, own: true, stays: !m.managed}
	if _, err := c.beginHold(own, c.deps.Topology.Snapshot(), lease); err != nil {
		return err
	}
	defer c.endHolds(func(h *hold) string {
		if h.ID == m.name {
			return "it is over"
		}
		return ""
	})
	begun := c.warm(c.deps.Topology.Snapshot(), m.to)
	c.note(func(r *Report) { r.Warmed = begun })
	if err := m.drain(ctx, summoned); err != nil {
		return err
	}
	if err := m.recheck(ctx); err != nil {
		return err
	}
	if m.managed {
		c.noteDrained()
		return m.byManager(ctx)
	}
	m.became = m.to
	return m.byCommands(ctx)
}

// warm begins to open connections to who is to be the primary, if that is known. What comes of it is nobody's concern.
func (c *Conductor) warm(s *topology.Snapshot, to topology.NodeID) (begun int) {
	if to == "" {
		to = onlyStandby(s)
	}
	if to == "" {
		return 0
	}
	return c.deps.Pool.Warm(c.cluster, to, warmMost)
}

// drain waits until no unit of work runs on the old primary, here and on the other routers.
func (m *move) drain(ctx context.Context, summoned *summons) error {
	c := m.conductor
	answers := summoned.ask(ctx)
	waiting, cancel := context.WithTimeout(ctx, m.cfg.DrainTimeout)
	defer cancel()
	blockers, quiet := c.quiet(waiting, m.from.node)
	for _, a := range <-answers {
		switch {
		case a.Err != nil:
			c.deps.Logger.Warn("another router does not hold", "cluster", string(c.cluster), "peer", a.Peer, "error", a.Err)
			c.note(func(r *Report) { r.Unreached = append(r.Unreached, a.Peer) })
		case !a.Drained:
			quiet = false
			for _, b := range a.Blockers {
				b.Peer = a.Peer
				blockers = append(blockers, b)
			}
		}
	}
	if quiet {
		return nil
	}
	return &BlockedError{m.cfg.DrainTimeout, blockers[:min(len(blockers), BlockersTold)]}
}

// recheck looks whether all is as it was when the switchover began, and whether it is still wanted.
func (m *move) recheck(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the switchover was given up, nothing was touched: %w", ctx.Err())
	}
	if m.conductor.summoned() {
		return ErrElsewhere
	}
	snap := m.conductor.deps.Topology.Snapshot()
	if !m.from.lives(snap) {
		return ErrChanged
	}
	if m.to == "" {
		return nil
	}
	if err := m.conductor.eligible(snap, m.to); err != nil {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return nil
}

// hostname names this router for others.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "another router"
	}
	return name
}

// passage is the only switchover of a cluster, or failover, that may be under way.
type passage struct {
	giveUp context.CancelFunc
	over   chan struct{} // closed at its end
}

// beginSwitchover makes sure that there is only one. The context also ends with Close.
func (c *Conductor) beginSwitchover(ctx context.Context) (context.Context, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.mu.closed:
		return nil, ErrClosed
	case c.mu.switching != nil:
		return nil, ErrBusy
	}
	ctx, cancel := context.WithCancel(ctx)
	c.mu.switching = &passage{giveUp: cancel, over: make(chan struct{})}
	return ctx, nil
}

func (c *Conductor) endSwitchover() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.switching.giveUp()
	close(c.mu.switching.over)
	c.mu.switching = nil
}

// Close refuses switchovers and holds from now on and ends the holds in force. It gives up a switchover that has not touched the old
// primary yet, and waits for the end of one that has, as long as ctx lasts.
func (c *Conductor) Close(ctx context.Context) error {
	c.mu.Lock()
	c.mu.closed = true
	running := c.mu.switching
	c.mu.Unlock()
	c.endHolds(func(h *hold) string {
		if h.own {
			return ""
		}
		return "the router is shutting down"
	})
	if running == nil {
		return nil
	}
	running.giveUp()
	select {
	case <-running.over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a switchover of cluster %s was left half done: %w", c.cluster, ctx.Err())
	}
}

// eligible says why a node cannot be made the primary.
func (c *Conductor) eligible(snap *topology.Snapshot, to topology.NodeID) error {
	node := snap.Node(to)
	switch {
	case node == nil:
		return fmt.Errorf("no node %q in cluster %s; it has %s", to, c.cluster, nodeNames(snap))
	case to == snap.Primary:
		return fmt.Errorf("node %s is the primary already", to)
	case !node.Usable():
		return fmt.Errorf("node %s cannot take over: %s", to, strings.TrimSpace(node.Health.String()+" "+node.Refused))
	case node.Role != topology.RoleStandby:
		return fmt.Errorf("node %s is not a standby", to)
	case node.Tags.NoFailover:
		return fmt.Errorf("node %s has the tag nofailover", to)
	}
	return nil
}

// standbys returns the nodes that could take over.
func standbys(snap *topology.Snapshot) []*topology.Node {
	var all []*topology.Node
	for i := range snap.Nodes {
		if n := &snap.Nodes[i]; n.Usable() && n.Role == topology.RoleStandby && !n.Tags.NoFailover {
			all = append(all, n)
		}
	}
	return all
}

// bestStandby returns the one that has replayed most, "" if there is none.
func bestStandby(snap *topology.Snapshot) topology.NodeID {
	var best *topology.Node
	for _, n := range standbys(snap) {
		if best == nil || n.ReplayLSN > best.ReplayLSN {
			best = n
		}
	}
	if best == nil {
		return ""
	}
	return best.ID
}

// onlyStandby returns who takes over when there is no choice, "" if there is one.
func onlyStandby(snap *topology.Snapshot) topology.NodeID {
	if all := standbys(snap); len(all) == 1 {
		return all[0].ID
	}
	return ""
}

func nodeNames(snap *topology.Snapshot) string {
	names := make([]string, 0, len(snap.Nodes))
	for i := range snap.Nodes {
		names = append(names, string(snap.Nodes[i].ID))
	}
	return strings.Join(names, ", ")
}

// openPlanned opens the report.
func (c *Conductor) openPlanned(from, to topology.NodeID) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.open != nil { // the failover before this one still waits for the first unit of work
		c.closeLocked(c.deps.Counters())
	}
	c.openLocked(Report{Planned: true, From: from, To: to, FirstSignal: now, Source: SourceOrder, HoldStart: now})
}

func (c *Conductor) noteDrained() time.Time {
	now := time.Now()
	c.note(func(r *Report) { r.Drained = now })
	return now
}

// note writes into the report that is open.
func (c *Conductor) note(what func(r *Report)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.open != nil {
		what(c.mu.open)
	}
}

// dropPlanned closes the report of a switchover that failed. Should the old primary be gone by now, the next snapshot opens
// another.
func (c *Conductor) dropPlanned(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.open != nil {
		c.mu.open.Outcome = OutcomeGivenUp + ": " + err.Error()
		c.closeLocked(c.deps.Counters())
	}
}

func (c *Conductor) emit(e event.Event) {
	e.Cluster = string(c.cluster)
	c.deps.Events.Emit(e)
}

// awaitPrimary waits until the node is proven, and lets report and pool know before anything is released: Run may be late, and
// what the pool was told last may still name the old primary.
func (c *Conductor) awaitPrimary(ctx context.Context, to topology.NodeID) error {
	var proven *topology.Snapshot
	err := c.await(ctx, func(s *topology.Snapshot) bool {
		proven = s
		return s.Primary == to
	})
	if err != nil {
		return fmt.Errorf("node %s was promoted but is not proven to be the primary: %w", to, err)
	}
	c.tellAll(proven)
	return nil
}

// tellAll lets report and pool know a snapshot without waiting for Run.
func (c *Conductor) tellAll(s *topology.Snapshot) {
	c.report(nil, s)
	c.deps.Pool.Publish(s)
	c.fulfil(s)
}

// await waits for a snapshot.
func (c *Conductor) await(ctx context.Context, is func(*topology.Snapshot) bool) error {
	changed, cancel := c.deps.Topology.Subscribe()
	defer cancel()
	for {
		if s := c.deps.Topology.Snapshot(); s != nil && is(s) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
