package failover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// lastWords is how long a demoted primary has to say how far it has written, if it still answers.
const lastWords = 3 * time.Second

// byCommands moves the primary of a cluster that nobody manages, while new units are held and no other runs: pinned sessions lose their
// servers, the old primary is demoted, the new one promoted when it has replayed everything.
func (m *move) byCommands(ctx context.Context) error {
	c, cfg, h := m.conductor, m.cfg, handover{m.from.node, m.to}
	if err := m.empty(ctx); err != nil {
		return err
	}
	telling, cancel := context.WithTimeout(ctx, cfg.SwitchTimeout)
	target, err := c.lastWritten(telling, h.from, c.noteDrained())
	cancel()
	if err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), cfg.SwitchTimeout)
	defer cancel()
	if err := c.command(ctx, cfg.DemoteCommand, h.from, h); err != nil {
		return fmt.Errorf("demote_command: %w", err)
	}
	if err := c.awaitReplay(ctx, h.to, c.leftAt(ctx, h.from, target)); err != nil {
		return err
	}
	if err := c.promote(ctx, cfg, h); err != nil {
		return fmt.Errorf("promote %s: %w", h.to, err)
	}
	return c.awaitPrimary(ctx, h.to)
}

// empty takes the old primary from sessions that keep a connection at rest, which would never end, and waits until nobody has one. They
// come last: until here a switchover costs nobody his session.
func (m *move) empty(ctx context.Context) error {
	c := m.conductor
	c.noteCut(c.deps.Pool.Cut(c.cluster, m.from.node, event.CutSwitchover))
	ctx, cancel := context.WithTimeout(ctx, m.cfg.DrainTimeout)
	defer cancel()
	if err := c.deps.Pool.WaitIdle(ctx, c.cluster, m.from.node); err != nil {
		return fmt.Errorf("%w (%w)", &BlockedError{m.cfg.DrainTimeout, c.deps.Pool.Blockers(c.cluster, m.from.node)}, err)
	}
	return nil
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

// leftAt returns how far the demoted primary has written in the end. Where it was not stopped but made read-only, somebody may have written
// until then who does not come through this router: it is asked once more. One that is down has sent what it had before it went, and one
// that is silent for lastWords is taken for gone: its demotion has succeeded.
func (c *Conductor) leftAt(ctx context.Context, primary topology.NodeID, before topology.LSN) topology.LSN {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	demoted, lsn := time.Now(), before
	_ = c.await(ctx, func(s *topology.Snapshot) bool { // whose time is over has said nothing more
		node := s.Node(primary)
		if node == nil || node.Health == topology.HealthDown {
			return true
		}
		lsn = max(before, node.WriteLSN)
		return node.SeenAt.After(demoted)
	})
	return lsn
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

// awaitReplay waits until the node has replayed what the old primary had written in the end.
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
