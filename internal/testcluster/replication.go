package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Promote makes a standby the primary and returns when it accepts writes. The others do not follow it by themselves:
// see Follow and Rejoin.
func (n *Node) Promote(ctx context.Context) error {
	conn, err := n.ConnectTo(ctx, "postgres")
	if err != nil {
		return fmt.Errorf("promote %v: %w", n, err)
	}
	defer closeConn(conn)
	if _, err := conn.Exec(ctx, "SELECT pg_promote(false)"); err != nil {
		return fmt.Errorf("promote %v: %w", n, err)
	}
	err = poll(ctx, func() (bool, error) {
		var recovering bool
		err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&recovering)
		return !recovering, err
	})
	if err != nil {
		return fmt.Errorf("promote %v: %w", n, err)
	}
	n.cluster.setPrimary(n)
	return nil
}

// Follow points a standby at another primary. A running one changes over without a restart.
func (n *Node) Follow(primary *Node) error {
	if err := n.setUpstream(primary); err != nil {
		return fmt.Errorf("%v follows %v: %w", n, primary, err)
	}
	if err := n.writeSettings(); err != nil {
		return err
	}
	return n.Reload()
}

// setUpstream makes the node a standby from its next start on.
func (n *Node) setUpstream(primary *Node) error {
	if n == primary {
		return errors.New("a node cannot follow itself")
	}
	n.mu.Lock()
	n.mu.upstream = primary
	n.mu.Unlock()
	return n.cluster.account.write(filepath.Join(n.DataDir(), signalName), "")
}

// Rejoin makes the node a standby of primary whatever it was before: stopped in order, killed, or ahead on an abandoned
// timeline. It rewinds the data directory (pg_rewind) and takes a fresh base backup where that fails: of a standby that was killed
// it does, and must, because one that is simply started again answers from an older state than it had shown.
func (n *Node) Rejoin(ctx context.Context, primary *Node) error {
	if err := n.StopFast(ctx); err != nil {
		return err
	}
	rewindErr := n.rewind(ctx, primary)
	if rewindErr != nil {
		n.cluster.options.Logger.Info("rewind failed, base backup instead", "node", n.name, "error", rewindErr)
		return n.Rebuild(ctx, primary)
	}
	if err := n.startFollowing(ctx, primary); err != nil {
		return fmt.Errorf("rejoin: %w", err)
	}
	return nil
}

// Rebuild makes the node a standby of primary from a fresh base backup.
func (n *Node) Rebuild(ctx context.Context, primary *Node) error {
	if err := n.StopFast(ctx); err != nil {
		return err
	}
	removeSharedMemory(filepath.Join(n.DataDir(), pidName))
	if err := os.RemoveAll(n.DataDir()); err != nil {
		return fmt.Errorf("rebuild %v: %w", n, err)
	}
	c := n.cluster
	if err := c.account.run(ctx, c.dir, c.program("pg_basebackup"), "-D", n.DataDir(), "-d", primary.conninfo(), "-c", "fast",
		"-X", "stream", "--no-sync"); err != nil {
		return fmt.Errorf("rebuild %v: %w", n, err)
	}
	if err := n.startFollowing(ctx, primary); err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	return nil
}

func (n *Node) rewind(ctx context.Context, primary *Node) error {
	// pg_rewind reads the source's timeline from its control file, which a promotion writes at its first checkpoint only.
	if err := primary.exec(ctx, "postgres", "CHECKPOINT"); err != nil {
		return err
	}
	c := n.cluster
	return c.account.run(ctx, c.dir, c.program("pg_rewind"), "-D", n.DataDir(), "--source-server", primary.conninfo()+" dbname=postgres", "--no-sync")
}

func (n *Node) startFollowing(ctx context.Context, primary *Node) error {
	if err := n.setUpstream(primary); err != nil {
		return err
	}
	if err := n.writeSettings(); err != nil {
		return err
	}
	return n.Start(ctx)
}

// RestartAsPrimary starts the node again without standby.signal: it accepts writes on the timeline it had, which is how
// careless scripts bring a copy up. Beside a living primary this is the split brain of tests. Primary is not changed.
func (n *Node) RestartAsPrimary(ctx context.Context) error {
	if err := n.StopFast(ctx); err != nil {
		return err
	}
	if err := ignoreMissing(os.Remove(filepath.Join(n.DataDir(), signalName))); err != nil {
		return fmt.Errorf("restart %v as primary: %w", n, err)
	}
	return n.Start(ctx)
}

// RestartAsStandby starts the node again as a standby of primary, without making its data fit first.
func (n *Node) RestartAsStandby(ctx context.Context, primary *Node) error {
	if err := n.StopFast(ctx); err != nil {
		return err
	}
	return n.startFollowing(ctx, primary)
}

// Restart stops the node in order and starts it as what it was.
func (n *Node) Restart(ctx context.Context) error {
	if err := n.StopFast(ctx); err != nil {
		return err
	}
	return n.Start(ctx)
}

// PauseReplay makes a standby receive but no longer apply: it lags until ResumeReplay.
func (n *Node) PauseReplay(ctx context.Context) error {
	if err := n.exec(ctx, "postgres", "SELECT pg_wal_replay_pause()"); err != nil {
		return err
	}
	return n.pollQuery(ctx, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
}

// ResumeReplay ends PauseReplay.
func (n *Node) ResumeReplay(ctx context.Context) error {
	return n.exec(ctx, "postgres", "SELECT pg_wal_replay_resume()")
}
