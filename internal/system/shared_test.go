package system

import (
	"fmt"
	"os"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
)

// shared is the cluster of the tests that need a server and do it no harm: to start one takes longer than most of them.
var shared clustertest.Shared

func TestMain(m *testing.M) {
	status := m.Run()
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// sharedCluster returns one primary with an empty database.
func sharedCluster(t *testing.T) *testcluster.Cluster {
	t.Helper()
	return shared.Cluster(t, testcluster.Options{})
}
