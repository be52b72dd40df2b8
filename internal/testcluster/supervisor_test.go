package testcluster_test

import (
	"context"
	"os/exec"
	"sync"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
)

// supervise runs a supervisor for the test and returns what it reports.
func supervise(t *testing.T, c *testcluster.Cluster) <-chan testcluster.Supervision {
	t.Helper()
	const room = 100
	reports := make(chan testcluster.Supervision, room)
	s := testcluster.NewSupervisor(c, testcluster.SupervisorOptions{Notify: func(r testcluster.Supervision) {
		select {
		case reports <- r:
		default:
		}
	}})
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { cancel(); group.Wait() })
	return reports
}

// await returns the next report of that kind.
func await(ctx context.Context, t *testing.T, reports <-chan testcluster.Supervision, kind testcluster.SupervisionKind) testcluster.Supervision {
	t.Helper()
	for {
		select {
		case r := <-reports:
			t.Logf("%v %v %v", r.Kind, r.Node, r.Err)
			if r.Kind == kind {
				return r
			}
		case <-ctx.Done():
			t.Fatalf("no %q was reported", kind)
		}
	}
}

func TestTheSupervisorReplacesAKilledPrimaryByTheFreshestStandby(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Standbys: 2})
	// The second standby stops receiving: the third must be taken.
	if err := c.Node(1).Configure(map[string]string{"primary_conninfo": "host=/nowhere"}); err != nil {
		t.Fatal(err)
	}
	waitFor(ctx, t, c.Node(1), "SELECT count(*) = 0 FROM pg_stat_wal_receiver")
	if err := c.Node(0).Exec(ctx, "CREATE TABLE t AS SELECT 1 AS i"); err != nil {
		t.Fatal(err)
	}
	ahead, err := c.Node(0).Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Node(2).WaitReplay(ctx, ahead.WriteLSN); err != nil {
		t.Fatal(err)
	}
	reports := supervise(t, c)
	c.Node(0).Kill9()
	if got := await(ctx, t, reports, testcluster.Promoted); got.Node != c.Node(2) {
		t.Fatalf("%v was promoted, want %v", got.Node, c.Node(2))
	}
	if err := c.Node(1).Configure(map[string]string{"primary_conninfo": ""}); err != nil {
		t.Fatal(err)
	}
	if got := await(ctx, t, reports, testcluster.NodeRejoined); got.Node != c.Node(0) {
		t.Fatalf("%v rejoined, want %v", got.Node, c.Node(0))
	}
	if err := c.WaitReplicas(ctx); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes() {
		if got := count(ctx, t, n, "t"); got != 1 {
			t.Errorf("%v has %d rows, want 1", n, got)
		}
	}
}

func TestTheSupervisorLetsOthersPromoteAfterAnOrderlyStop(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Standbys: 2, Sync: true})
	reports := supervise(t, c)
	if out, err := exec.CommandContext(ctx, "/bin/sh", "-c", c.Node(0).StopCommand()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	await(ctx, t, reports, testcluster.PrimaryStopped)
	if err := c.Node(2).Exec(ctx, "SELECT pg_promote()"); err != nil {
		t.Fatal(err)
	}
	if got := await(ctx, t, reports, testcluster.Promoted); got.Node != c.Node(2) {
		t.Fatalf("%v is primary, want %v", got.Node, c.Node(2))
	}
	await(ctx, t, reports, testcluster.NodeRejoined)
	if err := c.Node(2).Exec(ctx, "CREATE TABLE t (i int)"); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReplicas(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestTheSupervisorStartsTheOnlyNodeAgain(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{})
	reports := supervise(t, c)
	c.Node(0).Kill9()
	await(ctx, t, reports, testcluster.Promoted)
	if err := c.Node(0).Exec(ctx, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
}

func TestTheSupervisorSurvivesFailoversInARow(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Standbys: 2, Sync: true})
	reports := supervise(t, c)
	if err := c.Primary().Exec(ctx, "CREATE TABLE t (i int)"); err != nil {
		t.Fatal(err)
	}
	const rounds = 3
	for range rounds {
		c.Primary().Kill9()
		next := await(ctx, t, reports, testcluster.Promoted).Node
		if err := next.Exec(ctx, "INSERT INTO t VALUES (1)"); err != nil {
			t.Fatal(err)
		}
	}
	await(ctx, t, reports, testcluster.NodeRejoined)
	if got := count(ctx, t, c.Primary(), "t"); got != rounds {
		t.Errorf("%d rows, want %d", got, rounds)
	}
}
