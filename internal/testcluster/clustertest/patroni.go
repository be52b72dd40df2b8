package clustertest

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// VerifyVariable names what, when set, lets no test skip itself for want of root.
const VerifyVariable = "PGROUTER_VERIFY"

// StartPatroni gives the test a Patroni cluster that is closed at its end. The last log lines are printed when the test fails. Tests
// that ask for one carry the build tag patroni, so that Patroni's absence is a failure. There are two reasons to skip: one that is too old
// for the hook that is asked for, and, unless everything is to be tried (VerifyVariable), who may make no network for members that live apart.
func StartPatroni(t testing.TB, options testcluster.PatroniOptions) *testcluster.PatroniCluster {
	t.Helper()
	c, err := testcluster.StartPatroni(context.Background(), options)
	if errors.Is(err, testcluster.ErrNoHook) || errors.Is(err, testcluster.ErrNoNetwork) && os.Getenv(VerifyVariable) == "" {
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
