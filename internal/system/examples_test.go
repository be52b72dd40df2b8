//go:build patroni

package system

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// TestTheExamplesForPatroniRun starts the router with each example that hears from Patroni, or from its etcd, where the members are, and
// lets the lead pass from one to another.
func TestTheExamplesForPatroniRun(t *testing.T) {
	c := clustertest.StartPatroni(t, testcluster.PatroniOptions{Options: testcluster.Options{HBA: []string{"host all all 127.0.0.1/32 trust"}}})
	files, err := filepath.Glob("../../examples/*/pgrouter.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if namesNodes(string(text)) {
			continue // TestTheExamplesRun has it
		}
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			r := testrouter.PreparePatroni(t, c, string(text))
			r.Run()
			handOver(t, c, r)
		})
	}
}

// handOver lets the lead pass from one node to another, and looks where the doors lead before and after.
func handOver(t *testing.T, c *testcluster.PatroniCluster, r *testrouter.Process) {
	t.Helper()
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	awaitDoors(t, c, r, leader)
	next := c.Node(0)
	if next == leader {
		next = c.Node(1)
	}
	if err := c.Switchover(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	awaitDoors(t, c, r, next)
	if err := c.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// awaitDoors waits until writes go to the leader, and reads to a standby.
func awaitDoors(t *testing.T, c *testcluster.PatroniCluster, r *testrouter.Process, leader *testcluster.PatroniNode) {
	t.Helper()
	r.Await("writes go to "+leader.String(), time.Minute, func() bool {
		return told(t.Context(), c, r.Write, "select inet_server_port()") == strconv.Itoa(leader.Port())
	})
	r.Await("reads go to a standby", time.Minute, func() bool {
		return told(t.Context(), c, r.Read, "select pg_is_in_recovery()") == "t"
	})
}

// told is what a new connection is told; "" when it is refused.
func told(ctx context.Context, c *testcluster.PatroniCluster, address, sql string) string {
	conn, err := pgconn.Connect(ctx, c.DSN(address, testcluster.AppUser, testcluster.DefaultDatabase))
	if err != nil {
		return ""
	}
	defer conn.Close(ctx)
	said, err := query(conn, sql)
	if err != nil {
		return ""
	}
	return said
}
