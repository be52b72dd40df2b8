package system

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// acceptCluster runs the verb as an operator does.
func acceptCluster(t *testing.T, r *testrouter.Process, answer string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, testrouter.Binary(t), append([]string{"accept-cluster", "--admin", r.Admin}, args...)...)
	cmd.Stdin = strings.NewReader(answer)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// pointsTheWay waits until the router's log names the way out.
func pointsTheWay(r *testrouter.Process) {
	r.Await("the alarm names accept-cluster", time.Minute, func() bool {
		return strings.Contains(r.Tail(), "run pgrouter accept-cluster --cluster main")
	})
}

// TestAClusterThatWasMadeAnewIsAcceptedByTheVerb initialises the node behind a router that remembers the old cluster. A client that waits
// all the time is served in the end.
func TestAClusterThatWasMadeAnewIsAcceptedByTheVerb(t *testing.T) {
	ctx := t.Context()
	c := clustertest.Start(t, testcluster.Options{})
	r := testrouter.Start(t, c, testrouter.Options{})
	waiting := connect(t, c, r.Write)
	if out, err := acceptCluster(t, r, "", "--yes"); err == nil || !strings.Contains(out, "there is nothing to accept") {
		t.Errorf("with a primary: %v\n%s", err, out)
	}
	if err := c.Primary().StopFast(ctx); err != nil {
		t.Fatal(err)
	}
	r.Await("there is no primary", time.Minute, func() bool { return r.Metrics()["pgrouter_cluster_primary"] == 0 })
	if out, err := acceptCluster(t, r, "", "--yes"); err == nil || !strings.Contains(out, "no node takes writes") {
		t.Errorf("while nobody takes writes: %v\n%s", err, out)
	}
	if err := c.Node(0).Initialise(ctx); err != nil {
		t.Fatal(err)
	}
	pointsTheWay(r)
	served := make(chan error, 1)
	go func() {
		_, err := query(waiting, "create table fresh()")
		served <- err
	}()
	r.Await("one waits", time.Minute, func() bool { return r.Metrics()["pgrouter_pool_waiting"] >= 1 })
	if out, err := acceptCluster(t, r, "yes\n"); err == nil || !strings.Contains(out, "that is not the cluster's name") {
		t.Errorf("not confirmed: %v\n%s", err, out)
	}
	if out, err := acceptCluster(t, r, "", "--yes", "--system-identifier", "7"); err == nil || !strings.Contains(out, "no node takes writes that is the one meant") {
		t.Errorf("another cluster is named: %v\n%s", err, out)
	}
	out, err := acceptCluster(t, r, "main\n", "--cluster", "main")
	if err != nil || !strings.Contains(out, "accepted so far") || !strings.Contains(out, "cluster main is accepted with system identifier") {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := <-served; err != nil {
		t.Errorf("who waited all the time: %v", err)
	}
	r.Await("the event is told", time.Minute, func() bool { return strings.Contains(r.Tail(), "accepted the cluster with system identifier") })
}

// TestAnOlderTimelineIsAcceptedByTheVerb brings back a primary from before a failover, as a restored backup is, behind a router that has
// seen the timeline of the failover.
func TestAnOlderTimelineIsAcceptedByTheVerb(t *testing.T) {
	ctx := t.Context()
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Start(t, c, testrouter.Options{})
	knows(r, 2)
	old, next := c.Primary(), c.Standbys()[0]
	if err := old.StopFast(ctx); err != nil {
		t.Fatal(err)
	}
	if err := next.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	r.Await("the router goes on on timeline 2", time.Minute, func() bool { return r.Metrics()["pgrouter_cluster_timeline"] == 2 })
	if err := next.StopFast(ctx); err != nil {
		t.Fatal(err)
	}
	if err := old.Start(ctx); err != nil {
		t.Fatal(err)
	}
	pointsTheWay(r)
	if out, err := acceptCluster(t, r, "", "--yes", "--timeline", "2"); err == nil {
		t.Errorf("timeline 2 is nobody's: %s", out)
	}
	if out, err := acceptCluster(t, r, "", "--yes", "--timeline", "1"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := psql(t, c, r.Write, "select timeline_id from pg_control_checkpoint()"); got != "1" {
		t.Errorf("served on timeline %s", got)
	}
	r.Await("timeline 1 counts from now on", time.Minute, func() bool { return r.Metrics()["pgrouter_cluster_timeline"] == 1 })
}
