package testcluster_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
)

func TestAfterKill9NoBackendSurvivesAndTheNodeStartsAgainAtItsAddress(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{})
	n := c.Primary()
	conn, err := n.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CREATE TABLE t (i int)"); err != nil {
		t.Fatal(err)
	}
	n.Kill9()
	if n.Running() || n.PID() != 0 || n.StoppedCleanly() {
		t.Errorf("running %v, pid %d, stopped cleanly %v", n.Running(), n.PID(), n.StoppedCleanly())
	}
	if _, err := conn.Exec(ctx, "SELECT 1"); err == nil {
		t.Error("a backend answered after its node was killed")
	}
	if err := n.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if got := count(ctx, t, n, "t"); got != 0 {
		t.Errorf("%d rows", got)
	}
	if err := n.Start(ctx); !errors.Is(err, testcluster.ErrRunning) {
		t.Errorf("second start: %v, want %v", err, testcluster.ErrRunning)
	}
}

func TestAFrozenNodeTakesConnectionsButDoesNotAnswer(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{})
	n := c.Primary()
	conn, err := pgconn.Connect(ctx, n.DSN(testcluster.AppUser, "app"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	n.Stop()
	raw, err := net.Dial("tcp", n.Addr())
	if err != nil {
		t.Fatalf("the kernel refused a connection to a frozen node: %v", err)
	}
	_ = raw.Close()
	answered := make(chan error, 1)
	go func() { answered <- conn.Exec(ctx, "SELECT 1").Close() }()
	select {
	case err := <-answered:
		t.Errorf("a frozen node answered: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	n.Cont()
	select {
	case err := <-answered:
		if err != nil {
			t.Errorf("after waking: %v", err)
		}
	case <-ctx.Done():
		t.Error("no answer after waking")
	}
}

// consistentAt finds in a node's log from where on it has answered last.
var consistentAt = regexp.MustCompile(`consistent recovery state reached at ([0-9A-F]+/[0-9A-F]+)`)

// A standby answers as soon as its data is consistent. Of one that was killed and simply started again that may be a state long before
// the last that it has shown, with rows missing for a moment; one that rejoins shows nothing older.
func TestAStandbyThatRejoinsShowsNothingOlderThanBefore(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	n := c.Node(1)
	if err := c.Primary().Exec(ctx, "CREATE TABLE t AS SELECT generate_series(1, 1000)"); err != nil {
		t.Fatal(err)
	}
	for name, down := range map[string]func(context.Context) error{
		"killed":              func(context.Context) error { n.Kill9(); return nil },
		"stopped in order":    n.StopFast,
		"stopped immediately": n.StopImmediate,
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.WaitReplicas(ctx); err != nil {
				t.Fatal(err)
			}
			before, err := n.Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := down(ctx); err != nil {
				t.Fatal(err)
			}
			if err := n.Rejoin(ctx, c.Primary()); err != nil {
				t.Fatal(err)
			}
			const lines = 30
			said := consistentAt.FindAllStringSubmatch(n.LogTail(lines), -1)
			if len(said) == 0 {
				t.Fatalf("it does not say from where on it answers: %s", n.LogTail(lines))
			}
			var high, low uint64
			if _, err := fmt.Sscanf(said[len(said)-1][1], "%X/%X", &high, &low); err != nil {
				t.Fatal(err)
			}
			if answers := testcluster.LSN(high<<32 | low); answers < before.ReplayLSN {
				t.Errorf("it answers from %v on, and had shown %v", answers, before.ReplayLSN)
			}
			if got := count(ctx, t, n, "t"); got != 1000 {
				t.Errorf("%d rows", got)
			}
		})
	}
}

func TestThePrimaryIsKilledAStandbyPromotedAndTheOldOneRejoins(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Standbys: 2, Sync: true})
	old, next, third := c.Node(0), c.Node(1), c.Node(2)
	if err := old.Exec(ctx, "CREATE TABLE t (i int)", "INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReplicas(ctx); err != nil {
		t.Fatal(err)
	}
	old.Kill9()
	if err := third.Follow(next); err != nil {
		t.Fatal(err)
	}
	if err := next.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	if c.Primary() != next {
		t.Errorf("primary is %v, want %v", c.Primary(), next)
	}
	if err := next.Exec(ctx, "INSERT INTO t VALUES (2)"); err != nil {
		t.Fatal(err)
	}
	// What the old primary writes alone diverges and must go away at its return.
	if err := old.Configure(map[string]string{"synchronous_standby_names": ""}); err != nil {
		t.Fatal(err)
	}
	if err := old.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := old.Exec(ctx, "SET synchronous_commit = local", "INSERT INTO t VALUES (3), (4)"); err != nil {
		t.Fatal(err)
	}
	old.Kill9()
	if err := old.Rejoin(ctx, next); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReplicas(ctx); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes() {
		if got := count(ctx, t, n, "t"); got != 2 {
			t.Errorf("%v has %d rows, want 2", n, got)
		}
	}
	status, err := old.Status(ctx)
	if err != nil || !status.InRecovery || status.Timeline != 2 {
		t.Errorf("old primary: %+v, error %v; want a standby on timeline 2", status, err)
	}
}

func TestTheStopCommandStopsAPrimaryInOrderAndItRejoins(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	old, next := c.Node(0), c.Node(1)
	if out, err := exec.CommandContext(ctx, "/bin/sh", "-c", old.StopCommand()).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", old.StopCommand(), err, out)
	}
	select {
	case <-old.Exited():
	case <-ctx.Done():
		t.Fatal("the node did not end")
	}
	if !old.StoppedCleanly() {
		t.Error("not stopped in order")
	}
	if err := next.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	if err := old.Rejoin(ctx, next); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReplicas(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestANodeIsRebuiltFromABaseBackup(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	if err := c.Node(0).Exec(ctx, "CREATE TABLE t (i int)", "INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if err := c.Node(1).Rebuild(ctx, c.Node(0)); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReplicas(ctx); err != nil {
		t.Fatal(err)
	}
	if got := count(ctx, t, c.Node(1), "t"); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
}

func TestPausedReplayMakesAStandbyLag(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	primary, standby := c.Node(0), c.Node(1)
	if err := standby.PauseReplay(ctx); err != nil {
		t.Fatal(err)
	}
	if err := primary.Exec(ctx, "CREATE TABLE t AS SELECT generate_series(1, 10000) AS i"); err != nil {
		t.Fatal(err)
	}
	ahead, err := primary.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	behind, err := standby.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if behind.ReplayLSN >= ahead.WriteLSN {
		t.Errorf("the standby applied %v of %v although it was paused", behind.ReplayLSN, ahead.WriteLSN)
	}
	if err := standby.ResumeReplay(ctx); err != nil {
		t.Fatal(err)
	}
	if err := standby.WaitReplay(ctx, ahead.WriteLSN); err != nil {
		t.Fatal(err)
	}
}

func TestACopyRestartedAsPrimaryKeepsItsTimeline(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	if err := c.Node(1).RestartAsPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes() {
		status, err := n.Status(ctx)
		if err != nil || status.InRecovery || status.Timeline != 1 {
			t.Errorf("%v: %+v, error %v; want a primary on timeline 1", n, status, err)
		}
	}
}

func TestSettingsChangeWithoutARestart(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Conf: map[string]string{"work_mem": "5MB"}})
	n := c.Primary()
	if err := n.Configure(map[string]string{"default_transaction_read_only": "on"}); err != nil {
		t.Fatal(err)
	}
	waitFor(ctx, t, n, "SELECT current_setting('default_transaction_read_only') = 'on' AND current_setting('work_mem') = '5MB'")
	if err := n.Configure(map[string]string{"default_transaction_read_only": ""}); err != nil {
		t.Fatal(err)
	}
	waitFor(ctx, t, n, "SELECT current_setting('default_transaction_read_only') = 'off'")
}

func waitFor(ctx context.Context, t *testing.T, n *testcluster.Node, query string) {
	t.Helper()
	conn, err := n.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var yes bool
		if err := conn.QueryRow(ctx, query).Scan(&yes); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if yes {
			return
		}
		<-tick.C
	}
}
