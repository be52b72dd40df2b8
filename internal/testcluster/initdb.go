package testcluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// initdb makes a data directory where there is none.
func (n *Node) initdb(ctx context.Context) error {
	c := n.cluster
	if err := c.account.run(ctx, c.dir, c.program("initdb"), "--pgdata", n.DataDir(), "--no-sync", "--auth", "trust",
		"--username", SuperUser, "--encoding", "UTF8", "--no-locale", "--wal-segsize", segmentSize); err != nil {
		return err
	}
	return c.account.write(filepath.Join(n.DataDir(), "postgresql.conf"), "include '../postgresql.conf'\n")
}

// Initialise makes the node, which must not run, the primary of a new cluster with another system identifier and the same roles, and
// starts it: what it had is gone.
func (n *Node) Initialise(ctx context.Context) error {
	if n.Running() {
		return fmt.Errorf("initialise %v: %w", n, ErrRunning)
	}
	if err := os.RemoveAll(n.DataDir()); err != nil {
		return fmt.Errorf("initialise %v: %w", n, err)
	}
	if err := n.initdb(ctx); err != nil {
		return fmt.Errorf("initialise %v: %w", n, err)
	}
	if err := n.Start(ctx); err != nil {
		return err
	}
	n.cluster.setPrimary(n)
	return n.cluster.createRoles(ctx, &n.server)
}
