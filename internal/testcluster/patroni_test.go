//go:build patroni

package testcluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
)

// must ends the test at an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// awaitView returns the view in which what is wanted holds.
func awaitView(ctx context.Context, t *testing.T, c *testcluster.PatroniCluster, wanted func(testcluster.PatroniView) bool) testcluster.PatroniView {
	t.Helper()
	view, err := c.Await(ctx, wanted)
	must(t, err)
	return view
}

// another waits for a leader that is none of these, and says how long that took.
func another(ctx context.Context, t *testing.T, c *testcluster.PatroniCluster, but ...*testcluster.PatroniNode) *testcluster.PatroniNode {
	t.Helper()
	since := time.Now()
	n, err := c.AwaitLeader(ctx, but...)
	must(t, err)
	t.Logf("%v leads after %v", n, time.Since(since).Round(time.Millisecond))
	return n
}

func TestPatroniHandsTheLeadOverInOrder(t *testing.T) {
	ctx := limit(t)
	since := time.Now()
	c := clustertest.StartPatroni(t, testcluster.PatroniOptions{
		Synchronous: testcluster.SyncOn, Tags: []map[string]any{nil, nil, {"nofailover": true, "nosync": true, "zone": "b"}},
	})
	t.Logf("ready after %v", time.Since(since).Round(time.Millisecond))
	one, two := c.Node(0), c.Node(1)
	for role, database := range map[string]string{testcluster.AppUser: testcluster.DefaultDatabase, testcluster.ProbeUser: "postgres"} {
		conn, err := pgx.Connect(ctx, one.DSN(role, database))
		must(t, err)
		must(t, conn.Close(ctx))
	}
	must(t, one.Exec(ctx, "CREATE TABLE t AS SELECT 1 AS i"))

	if err := c.Switchover(ctx, c.Node(2)); err == nil {
		t.Error("a node that may not lead was made the leader")
	}
	since = time.Now()
	must(t, c.Switchover(ctx, two))
	if leader := another(ctx, t, c, one); leader != two {
		t.Fatalf("%v leads, want %v", leader, two)
	}
	must(t, c.AwaitReady(ctx))
	t.Logf("both standbys follow %v after the switchover was asked for", time.Since(since).Round(time.Millisecond))
	must(t, two.Exec(ctx, "INSERT INTO t VALUES (2)"))
	status, err := two.Status(ctx)
	must(t, err)
	must(t, one.WaitReplay(ctx, status.WriteLSN))

	// Nobody starts PostgreSQL again while the agents are paused.
	must(t, c.Pause(ctx))
	one.KillPostgres()
	awaitView(ctx, t, c, func(v testcluster.PatroniView) bool { return v.Of(one).Answered && v.Of(one).State != "running" })
	must(t, c.Resume(ctx))
	must(t, c.AwaitReady(ctx))
}

func TestPatroniReplacesALeaderThatIsKilledWithItsAgent(t *testing.T) {
	ctx := limit(t)
	c := clustertest.StartPatroni(t, testcluster.PatroniOptions{})
	one := c.Node(0)
	one.Kill9()
	if one.AgentRunning() {
		t.Error("the agent outlived kill -9")
	}
	next := another(ctx, t, c, one)
	must(t, next.Exec(ctx, "CREATE TABLE t (i int)"))
	must(t, one.Restart(ctx))
	must(t, c.AwaitReady(ctx))

	// An agent comes back to a PostgreSQL that went on without it.
	before, err := next.Status(ctx)
	must(t, err)
	next.KillAgent()
	must(t, next.Exec(ctx, "INSERT INTO t VALUES (1)"))
	must(t, next.Restart(ctx))
	after, err := next.Status(ctx)
	must(t, err)
	if after.Timeline != before.Timeline || after.InRecovery {
		t.Errorf("without its agent for a moment the leader went from %+v to %+v", before, after)
	}
}

// What AwaitReady promises of a synchronous cluster: that a leader which is killed the moment after has a successor.
func TestASynchronousClusterIsReadyWhenSomebodyMayFollow(t *testing.T) {
	ctx := limit(t)
	c := clustertest.StartPatroni(t, testcluster.PatroniOptions{Synchronous: testcluster.SyncStrict})
	one := c.Node(0)
	for range 3 {
		// The one that comes back is the first that commits wait for when any will do; agreed on is the other one.
		before := c.SyncStandby(ctx)
		before.KillPostgres()
		awaitView(ctx, t, c, func(v testcluster.PatroniView) bool { return v.Synchronous() != nil && v.Synchronous() != before })
		must(t, c.AwaitReady(ctx))
		one.KillAgent()
		must(t, one.Restart(ctx))
		must(t, c.AwaitReady(ctx))
		if agreed, waits := c.SyncStandby(ctx), c.View(ctx).Synchronous(); agreed == nil || agreed != waits {
			t.Errorf("the agents have agreed on %v, commits wait for %v", agreed, waits)
		}
	}
	one.Kill9()
	another(ctx, t, c, one)
}

func TestPatroniReplacesAFrozenLeader(t *testing.T) {
	ctx := limit(t)
	c := clustertest.StartPatroni(t, testcluster.PatroniOptions{})
	one := c.Node(0)
	one.Stop()
	next := another(ctx, t, c, one)
	must(t, next.Exec(ctx, "CREATE TABLE t (i int)"))
	// It wakes as a primary that has lost its lease. Patroni 3.0.2 lets it write its name over the other's, whose timeline is then
	// rewound (later ones ask first); so it is not asked who leads now, only that one does and that the others follow it.
	one.Cont()
	must(t, c.AwaitReady(ctx))
	leader, err := c.Leader(ctx)
	must(t, err)
	must(t, leader.Exec(ctx, "CREATE TABLE u (i int)"))
	t.Logf("%v leads in the end", leader)
}

// loseEtcd stops etcd and returns what the agents say when the first leader's lease is long over.
func loseEtcd(ctx context.Context, t *testing.T, c *testcluster.PatroniCluster) testcluster.PatroniStatus {
	t.Helper()
	c.StopEtcd()
	one := c.Node(0)
	view := awaitView(ctx, t, c, func(v testcluster.PatroniView) bool {
		s := v.Of(one)
		return s.Answered && time.Since(s.StoreSeen) > c.TTL()+5*time.Second && (s.FailsafeActive || !s.Primary)
	})
	return view.Of(one)
}

func TestPatroniInFailsafeModeKeepsItsLeaderWithoutEtcd(t *testing.T) {
	ctx := limit(t)
	c := clustertest.StartPatroni(t, testcluster.PatroniOptions{Failsafe: true})
	if s := loseEtcd(ctx, t, c); !s.Leader || !s.Primary {
		t.Errorf("the leader says %+v", s)
	}
	must(t, c.Node(0).Exec(ctx, "CREATE TABLE t (i int)"))
	must(t, c.StartEtcd(ctx))
	awaitView(ctx, t, c, func(v testcluster.PatroniView) bool { return !v.Of(c.Node(0)).FailsafeActive })
	must(t, c.AwaitReady(ctx))
}

func TestPatroniWithoutFailsafeModeStepsDownWithEtcd(t *testing.T) {
	ctx := limit(t)
	c := clustertest.StartPatroni(t, testcluster.PatroniOptions{Nodes: 2, Etcds: 3})
	if s := loseEtcd(ctx, t, c); s.Leader || s.Primary {
		t.Errorf("the leader says %+v", s)
	}
	must(t, c.StartEtcd(ctx))
	another(ctx, t, c)
	c.FreezeEtcd()
	awaitView(ctx, t, c, func(v testcluster.PatroniView) bool { return v.Leader() == nil })
	c.ThawEtcd()
	another(ctx, t, c)
	must(t, c.AwaitReady(ctx))
}

func TestAPatroniClusterLeavesNothing(t *testing.T) {
	for range 3 {
		ctx, cancel := context.WithCancel(limit(t))
		c, err := testcluster.StartPatroni(ctx, testcluster.PatroniOptions{Nodes: 2})
		if err != nil {
			cancel()
			t.Fatal(err)
		}
		c.Node(0).StopAgent()
		c.Node(1).StopPostgres()
		cancel()
		must(t, c.Close())
		if rest := mentioning(c.Dir()); len(rest) > 0 {
			t.Errorf("still there: %q", rest)
		}
		if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", c.Dir(), err)
		}
		if err := c.Node(0).Restart(limit(t)); !errors.Is(err, testcluster.ErrClosed) {
			t.Errorf("restart after close: %v, want %v", err, testcluster.ErrClosed)
		}
	}
}

// mentioning lists the command lines that name a directory.
func mentioning(dir string) []string {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var found []string
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && strings.Contains(string(line), dir) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// TestPatroniOwner is the process that TestADeadProcessLeavesNoPatroni kills.
func TestPatroniOwner(t *testing.T) {
	if os.Getenv(orphanVariable) == "" {
		t.Skip("runs as a child of TestADeadProcessLeavesNoPatroni")
	}
	c, err := testcluster.StartPatroni(context.Background(), testcluster.PatroniOptions{Nodes: 2})
	must(t, err)
	fmt.Printf("\n%s\n", c.Dir())
	select {}
}

func TestADeadProcessLeavesNoPatroni(t *testing.T) {
	ctx := limit(t)
	owner := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestPatroniOwner$")
	owner.Env = append(os.Environ(), orphanVariable+"=1")
	out, err := owner.StdoutPipe()
	must(t, err)
	must(t, owner.Start())
	dir := ""
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		if filepath.IsAbs(lines.Text()) {
			dir = lines.Text()
		}
	}
	if dir == "" {
		t.Fatalf("the owner did not start a cluster: %v", owner.Wait())
	}
	must(t, owner.Process.Kill())
	_ = owner.Wait()
	// The agents stop PostgreSQL before they end.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for rest := mentioning(dir); len(rest) > 0; rest = mentioning(dir) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("still there: %q", rest)
		}
	}
	must(t, os.RemoveAll(dir))
}

func TestImpossiblePatroniOptionsAreRefused(t *testing.T) {
	cases := map[string]testcluster.PatroniOptions{
		"too many nodes":      {Nodes: 100},
		"sync with nobody":    {Nodes: 1, Synchronous: testcluster.SyncStrict},
		"a lease too short":   {TTL: 6 * time.Second},
		"standbys":            {Options: testcluster.Options{Standbys: 1}},
		"tags for nobody":     {Nodes: 1, Tags: make([]map[string]any, 2)},
		"too many of etcd":    {Etcds: 7},
		"a second superuser":  {Options: testcluster.Options{Roles: []testcluster.Role{{Name: "postgres"}}}},
		"a role of Patroni's": {Options: testcluster.Options{Roles: []testcluster.Role{{Name: "replicator"}}}},
	}
	for name, options := range cases {
		t.Run(name, func(t *testing.T) {
			if c, err := testcluster.StartPatroni(context.Background(), options); err == nil {
				_ = c.Close()
				t.Error("was started")
			}
		})
	}
}

func TestPatroniThatIsTooOldForAHookIsNotGivenOne(t *testing.T) {
	out, err := exec.CommandContext(limit(t), "patroni", "--version").Output()
	must(t, err)
	if strings.TrimSpace(string(out)) != "patroni 3.0.2" {
		t.Skip("this Patroni has the hook")
	}
	hook := func(*testcluster.PatroniNode) string { return "/bin/true" }
	c, err := testcluster.StartPatroni(limit(t), testcluster.PatroniOptions{BeforeStop: hook})
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, testcluster.ErrNoHook) {
		t.Errorf("was not refused: %v", err)
	}
}
