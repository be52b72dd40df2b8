package failover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// The ways in which a switchover is refused before anything is touched.
var (
	ErrBusy       = errors.New("another switchover of this cluster is under way")
	ErrClosed     = errors.New("the router is shutting down")
	ErrNoPrimary  = errors.New("the cluster has no proven primary: a switchover needs one (see SHOW NODES)")
	ErrNoDemotion = errors.New("no demote_command is configured: a plain cluster's old primary must be stopped or made read-only before another is promoted")
)

// Switchover makes node to the primary without an error for anybody: new units of work are held, running ones end, the old
// primary is demoted, the new one promoted when it has replayed everything, and the units go on there. within bounds the wait
// for running units (0: the configured drain_timeout). When it fails, everything is released; the error says what was done. The
// end of ctx, or Close, ends it only until the old primary is touched: half of it would leave the cluster without a primary.
func (c *Conductor) Switchover(ctx context.Context, to topology.NodeID, within time.Duration) error {
	cfg := *c.cfg.Load()
	if within > 0 {
		cfg.DrainTimeout = within
	}
	ctx, err := c.beginSwitchover(ctx)
	if err != nil {
		return err
	}
	defer c.endSwitchover()
	snap := c.deps.Topology.Snapshot()
	if err := c.eligible(cfg, snap, to); err != nil {
		return err
	}
	c.emit(event.Event{Kind: event.SwitchoverStarted, From: string(snap.Primary), To: string(to)})
	c.openPlanned(snap, to)
	c.deps.Topology.SetHeld(true)
	c.deps.Pool.Hold(c.cluster, event.HoldSwitchover)
	defer c.deps.Topology.SetHeld(false)
	defer c.deps.Pool.Resume(c.cluster)
	c.noteCut(c.deps.Pool.Cut(c.cluster, snap.Primary, event.CutSwitchover)) // pinned sessions at rest would never end
	if err = c.conduct(ctx, cfg, snap, to); err != nil {
		c.dropPlanned(err)
		c.emit(event.Event{Kind: event.SwitchoverFailed, From: string(snap.Primary), To: string(to), Reason: err.Error()})
		return err
	}
	c.emit(event.Event{Kind: event.SwitchoverDone, From: string(snap.Primary), To: string(to)})
	return nil
}

// conduct is the switchover proper, while new units are held.
func (c *Conductor) conduct(ctx context.Context, cfg Config, snap *topology.Snapshot, to topology.NodeID) error {
	drain, cancel := context.WithTimeout(ctx, cfg.DrainTimeout)
	err := c.deps.Pool.WaitIdle(drain, c.cluster, snap.Primary)
	cancel()
	if err != nil {
		return fmt.Errorf("running units did not end within %s, nothing was touched: %w", cfg.DrainTimeout, err)
	}
	telling, cancel := context.WithTimeout(ctx, cfg.SwitchTimeout)
	target, err := c.lastWritten(telling, snap.Primary, c.noteDrained())
	cancel()
	if err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), cfg.SwitchTimeout)
	defer cancel()
	if err := c.command(ctx, cfg.DemoteCommand, snap.Primary, handover{snap.Primary, to}); err != nil {
		return fmt.Errorf("demote_command: %w", err)
	}
	if err := c.awaitReplay(ctx, to, target); err != nil {
		return err
	}
	if err := c.promote(ctx, cfg, handover{snap.Primary, to}); err != nil {
		return fmt.Errorf("promote %s: %w", to, err)
	}
	return c.awaitPrimary(ctx, to)
}

// passage is a switchover under way.
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

// Close refuses switchovers from now on, gives up one that has not touched the old primary yet, and waits for the end of one that
// has, as long as ctx lasts.
func (c *Conductor) Close(ctx context.Context) error {
	c.mu.Lock()
	c.mu.closed = true
	running := c.mu.switching
	c.mu.Unlock()
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

// eligible refuses a switchover that could not work, before anything is touched.
func (c *Conductor) eligible(cfg Config, snap *topology.Snapshot, to topology.NodeID) error {
	if len(cfg.DemoteCommand) == 0 {
		return ErrNoDemotion
	}
	if snap == nil || snap.Primary == "" {
		return ErrNoPrimary
	}
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
	}
	return nil
}

func nodeNames(snap *topology.Snapshot) string {
	names := make([]string, 0, len(snap.Nodes))
	for i := range snap.Nodes {
		names = append(names, string(snap.Nodes[i].ID))
	}
	return strings.Join(names, ", ")
}

// openPlanned opens the report.
func (c *Conductor) openPlanned(snap *topology.Snapshot, to topology.NodeID) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.openLocked(Report{Planned: true, From: snap.Primary, To: to, FirstSignal: now, Source: SourceOrder, HoldStart: now})
}

func (c *Conductor) noteDrained() time.Time {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.open != nil {
		c.mu.open.Drained = now
	}
	return now
}

// lastWritten returns how far the old primary had written after the last unit of work ended: the standby must get there.
func (c *Conductor) lastWritten(ctx context.Context, primary topology.NodeID, drained time.Time) (topology.LSN, error) {
	var lsn topology.LSN
	err := c.await(ctx, func(s *topology.Snapshot) bool {
		node := s.Node(primary)
		if node == nil || !node.SeenAt.After(drained) {
			return false
		}
		lsn = node.WriteLSN
		return true
	})
	if err != nil {
		return 0, fmt.Errorf("primary %s did not tell how far it has written: %w", primary, err)
	}
	return lsn, nil
}

// dropPlanned closes the report of a switchover that failed. Should the old primary be gone by now, the next snapshot opens
// another.
func (c *Conductor) dropPlanned(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.open != nil {
		c.mu.open.Outcome = "switchover_failed: " + err.Error()
		c.closeLocked(c.deps.Counters())
	}
}

func (c *Conductor) emit(e event.Event) {
	e.Cluster = string(c.cluster)
	c.deps.Events.Emit(e)
}

// handover is from whom to whom a switchover goes.
type handover struct{ from, to topology.NodeID }

// command runs a configured command for a node, without a shell of our own.
func (c *Conductor) command(ctx context.Context, argv []string, node topology.NodeID, h handover) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "PGROUTER_CLUSTER="+string(c.cluster), "PGROUTER_NODE="+string(node),
		"PGROUTER_OLD_PRIMARY="+string(h.from), "PGROUTER_NEW_PRIMARY="+string(h.to))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // a child that keeps the output open does not hold us
	err := cmd.Run()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("%s: %w: %s", argv[0], err, lastLine(out.Bytes()))
	}
	return nil
}

// lastLine returns the end of a command's output, for the error.
func lastLine(out []byte) string {
	const most = 200
	out = bytes.TrimSpace(out)
	if i := bytes.LastIndexByte(out, '\n'); i >= 0 {
		out = out[i+1:]
	}
	return string(out[:min(len(out), most)])
}

// promote makes the node the primary.
func (c *Conductor) promote(ctx context.Context, cfg Config, h handover) error {
	if len(cfg.PromoteCommand) > 0 {
		return c.command(ctx, cfg.PromoteCommand, h.to, h)
	}
	node := c.deps.Topology.Snapshot().Node(h.to)
	if node == nil {
		return fmt.Errorf("node %s has left the cluster", h.to)
	}
	return promoteBySQL(ctx, cfg, node)
}

// promoteBySQL calls pg_promote() and does not wait for its end: the probes see it first.
func promoteBySQL(ctx context.Context, cfg Config, node *topology.Node) error {
	host, port, err := splitAddress(node.Address)
	if err != nil {
		return err
	}
	pg, err := pgconn.ParseConfig("sslmode=prefer")
	if err != nil {
		return err
	}
	pg.Host, pg.Port, pg.User, pg.Password, pg.Database = host, port, cfg.PromoteUser, cfg.PromoteSecret, cfg.PromoteDB
	pg.RuntimeParams = map[string]string{"application_name": "pgrouter switchover"}
	pg.Fallbacks, pg.TLSConfig = nil, nil
	conn, err := pgconn.ConnectConfig(ctx, pg)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "SELECT pg_catalog.pg_promote(false)").ReadAll()
	return err
}

// awaitReplay waits until the node has replayed what the old primary had written when the last unit ended.
func (c *Conductor) awaitReplay(ctx context.Context, to topology.NodeID, lsn topology.LSN) error {
	err := c.await(ctx, func(s *topology.Snapshot) bool {
		node := s.Node(to)
		return node != nil && node.ReplayLSN >= lsn
	})
	if err != nil {
		return fmt.Errorf("standby %s did not replay up to %X/%X: %w", to, uint64(lsn)>>32, uint32(lsn), err)
	}
	return nil
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
	c.report(nil, proven)
	c.deps.Pool.Publish(proven)
	return nil
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
