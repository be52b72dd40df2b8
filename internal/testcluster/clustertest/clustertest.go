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
	if errors.Is(err, testcluster.ErrNoBinaries) && os.Getenv(RequireVariable) == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finish(t, c) })
	return c
}

func finish(t testing.TB, c *testcluster.Cluster) {
	t.Helper()
	if t.Failed() {
		for _, n := range c.Nodes() {
			t.Logf("log of %v:\n%s", n, n.LogTail(tailLines))
		}
	}
	if err := c.Close(); err != nil {
		t.Errorf("close the cluster: %v", err)
	}
}
