package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Patroni's settings, as a careful operator has them.
const (
	ttl          = 20 * time.Second
	loopWait     = 2 * time.Second
	retryTimeout = 5 * time.Second
)

const subscribers = 1000

// site is what all stacks share: the cluster and a folder.
type site struct {
	cluster *testcluster.PatroniCluster
	dir     string
	options options
}

func newSite(ctx context.Context, o options) (*site, error) {
	dir, err := os.MkdirTemp("", "pgrouter-failover-")
	if err != nil {
		return nil, err
	}
	// Programs that refuse to be root read their files there.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	cluster, err := testcluster.StartPatroni(ctx, testcluster.PatroniOptions{
		TTL: ttl, LoopWait: loopWait, RetryTimeout: retryTimeout, Synchronous: testcluster.SyncOn,
		Options: testcluster.Options{HBA: []string{"host all all 127.0.0.1/32 trust"}},
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &site{cluster: cluster, dir: dir, options: o}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *site) prepare(ctx context.Context) error {
	conn, err := s.cluster.Node(0).Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := ledger.Prepare(ctx, conn, subscribers); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, watchTable)
	return err
}

func (s *site) close() error { return errors.Join(s.cluster.Close(), os.RemoveAll(s.dir)) }

// folder makes a folder below the site's.
func (s *site) folder(name string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.MkdirAll(path, 0o755)
}
