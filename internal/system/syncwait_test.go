package system

import (
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// TestCommitsThatWaitForASynchronousStandbyAreTold stops the only synchronous standby: a commit hangs in PostgreSQL, and the router says
// why. It goes on when the standby is back.
func TestCommitsThatWaitForASynchronousStandbyAreTold(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	standby := c.Standbys()[0]
	r := testrouter.Start(t, c, testrouter.Options{})
	knows(r, 2)
	writer := connect(t, c, r.Write)
	if _, err := query(writer, "create table written(n int)"); err != nil {
		t.Fatal(err)
	}
	if err := standby.StopFast(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Primary().Configure(map[string]string{"synchronous_standby_names": "FIRST 1 (" + standby.Name() + ")"}); err != nil {
		t.Fatal(err)
	}
	r.Await("the next commit is known to hang", time.Minute, func() bool { return strings.Contains(alarmOf(t, c, r), "the next commit will hang") })
	done := make(chan error, 1)
	go func() {
		_, err := query(writer, "insert into written values (1)")
		done <- err
	}()
	r.Await("a commit waits, and the alarm says for whom", time.Minute, func() bool {
		return r.Metrics()["pgrouter_node_syncrep_waiting"] == 1 && r.Metrics()["pgrouter_node_commits_stalled"] == 1 && strings.Contains(alarmOf(t, c, r), "commits hang")
	})
	want := "synchronous_standby_names is 'FIRST 1 (" + standby.Name() + ")', of which " + standby.Name() + " does not stream"
	if got := alarmOf(t, c, r); !strings.Contains(got, want) {
		t.Errorf("SHOW NODES says %q, want %q", got, want)
	}
	r.AwaitLog("commits_stalled")
	if err := standby.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatalf("the commit: %v", err)
	}
	r.Await("the alarm is over", time.Minute, func() bool { return r.Metrics()["pgrouter_node_commits_stalled"] == 0 })
	r.AwaitLog("commits_flow")
}

// alarmOf returns what SHOW NODES says of the primary.
func alarmOf(t *testing.T, c *testcluster.Cluster, r *testrouter.Process) string {
	t.Helper()
	console := open(t, c, r.Write, "pgrouter", "")
	defer console.Close(t.Context())
	for _, row := range table(t, console, "show nodes", "node", "reason") {
		if row[0] == c.Primary().Addr() {
			return row[1]
		}
	}
	t.Fatal("SHOW NODES does not know the primary")
	return ""
}
