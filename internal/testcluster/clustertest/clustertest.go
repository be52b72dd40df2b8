package clustertest

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// RequireVariable names what, when set, turns "PostgreSQL is absent" from a skip into a failure.
const RequireVariable = "PGROUTER_REQUIRE_PG"

const tailLines = 20

// Start gives the test a cluster that is closed at its end. The servers' last log lines are printed when the test fails.
func Start(t testing.TB, options testcluster.Options) *testcluster.Cluster {
	t.Helper()
	c, err := testcluster.Start(context.Background(), options)
	require(t, err)
	t.Cleanup(func() {
		explain(t, c)
		if err := c.Close(); err != nil {
			t.Errorf("close the cluster: %v", err)
		}
	})
	return c
}

// require ends a test that has no cluster.
func require(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, testcluster.ErrNoBinaries) && os.Getenv(RequireVariable) == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// explain prints the servers' last log lines when the test has failed.
func explain(t testing.TB, c *testcluster.Cluster) {
	t.Helper()
	if !t.Failed() {
		return
	}
	for _, n := range c.Nodes() {
		t.Logf("log of %v:\n%s", n, n.LogTail(tailLines))
	}
}
