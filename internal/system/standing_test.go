package system

import (
	"context"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// standingTable is a database that the router logs in to as one user, whoever comes.
const standingTable = "[database.service]\ndbname = \"app\"\nuser = \"app\"\npassword = \"${TEST_APP_PASSWORD}\"\nmin_size = 1\n"

// awaitServers waits until the router has so many connections to a node, and no other has come.
func awaitServers(t *testing.T, r *testrouter.Process, n *testcluster.Node, want int) {
	t.Helper()
	conn, err := n.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	r.Await(strconv.Itoa(want)+" connections to "+n.Name(), 20*time.Second, func() bool {
		var got int
		err := conn.QueryRow(t.Context(), "select count(*) from pg_stat_activity where usename = 'app' and datname = 'app'").Scan(&got)
		return err == nil && got == want
	})
}

// TestMinSizeHoldsWithoutAClientWhereTheServerUserIsKnown: at the start, after a reload, and on the node that becomes the primary.
func TestMinSizeHoldsWithoutAClientWhereTheServerUserIsKnown(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Start(t, c, testrouter.Options{More: standingTable})
	old, next := c.Primary(), c.Standbys()[0]
	awaitServers(t, r, old, 1)
	awaitServers(t, r, next, 1)
	r.Rewrite("pgrouter.toml", func(text string) string {
		text = strings.Replace(text, "min_size = 1", "min_size = 2", 1)
		return text + "[database.own]\ndbname = \"app\"\nmin_size = 3\n" // its clients log in as themselves
	})
	if err := r.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	awaitServers(t, r, old, 2)
	if err := old.StopFast(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := next.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitServers(t, r, next, 4) // of the listener for writes and of that for reads, which falls back
}
