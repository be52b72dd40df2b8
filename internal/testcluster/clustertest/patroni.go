package clustertest

import (
	"context"
	"errors"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// StartPatroni gives the test a Patroni cluster that is closed at its end. The last log lines are printed when the test fails. Tests
// that ask for one carry the build tag patroni, so that Patroni's absence is a failure; one that is too old for the hook that is asked
// for is the only reason to skip.
func StartPatroni(t testing.TB, options testcluster.PatroniOptions) *testcluster.PatroniCluster {
	t.Helper()
	c, err := testcluster.StartPatroni(context.Background(), options)
	if errors.Is(err, testcluster.ErrNoHook) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the logs end so:\n%s", c.LogTails(tailLines))
		}
		if err := c.Close(); err != nil {
			t.Errorf("close the cluster: %v", err)
		}
	})
	return c
}
