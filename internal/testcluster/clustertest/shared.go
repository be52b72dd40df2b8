package clustertest

import (
	"context"
	"sync"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Shared is the cluster of tests that do no harm to a server and run one after the other. The first that asks starts it.
type Shared struct {
	once    sync.Once
	cluster *testcluster.Cluster
	err     error
}

// Cluster returns the cluster with an empty database, to which no client is connected any more. The options count once.
func (s *Shared) Cluster(t testing.TB, options testcluster.Options) *testcluster.Cluster {
	t.Helper()
	s.once.Do(func() { s.cluster, s.err = testcluster.Start(context.Background(), options) })
	require(t, s.err)
	t.Cleanup(func() { explain(t, s.cluster) })
	const patience = "10000" // milliseconds for a server process to end
	err := s.cluster.Primary().Exec(context.Background(),
		"select pg_terminate_backend(pid, "+patience+") from pg_stat_activity where usename = '"+testcluster.AppUser+"'",
		"drop owned by app cascade", "grant all on database app to app", "create schema if not exists public", "grant all on schema public to app")
	if err != nil {
		t.Fatal(err)
	}
	return s.cluster
}

// Close ends the cluster, if there is one, after the last test.
func (s *Shared) Close() error {
	if s.cluster == nil {
		return nil
	}
	return s.cluster.Close()
}
