package system

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// readOnlyPool lets reads of the write port go on without a primary; the time before is short, not to make the tests long.
const readOnlyPool = "no_primary = \"read-only\"\nno_primary_after = \"1s\"\n"

// sessionTable is a database in session mode.
const sessionTable = "[database.whole]\ndbname = \"app\"\nmode = \"session\"\n"

// bereaved is a cluster that has lost its primary, and a router that serves reads all the same.
type bereaved struct {
	*testcluster.Cluster
	router *testrouter.Process
	old    *testcluster.Node
}

// bereave kills the primary of a cluster whose router was given time to see all of it.
func bereave(t *testing.T, more string, before func(c *testcluster.Cluster, r *testrouter.Process)) *bereaved {
	t.Helper()
	c := clustertest.Start(t, testcluster.Options{Standbys: 2})
	r := testrouter.Start(t, c, testrouter.Options{Pool: readOnlyPool, More: more})
	knows(r, 3)
	before(c, r)
	b := &bereaved{Cluster: c, router: r, old: c.Primary()}
	if err := c.WaitReplicas(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.old.Kill9()
	return b
}

// TestReadsGoOnWithoutAPrimary: on the read port with no primary at all, on the write port by the operator's choice, and everybody is back
// at the primary when there is one.
func TestReadsGoOnWithoutAPrimary(t *testing.T) {
	var writer, whole, pinned, reader *pgconn.PgConn
	b := bereave(t, sessionTable, func(c *testcluster.Cluster, r *testrouter.Process) {
		writer, reader, pinned = connect(t, c, r.Write), connect(t, c, r.Read), connect(t, c, r.Write)
		if _, err := query(writer, "create table kept(n int); insert into kept values (7)"); err != nil {
			t.Fatal(err)
		}
	})
	r := b.router
	for name, conn := range map[string]*pgconn.PgConn{"read": reader, "write": writer} {
		if got, err := query(conn, "select n from kept"); err != nil || got != "7" {
			t.Fatalf("without a primary, on the %s port: %q, %v\n%s", name, got, err, r.Tail())
		}
	}
	if _, err := query(writer, "insert into kept values (8)"); code(err) != "25006" {
		t.Errorf("a write without a primary: %v", err)
	}
	if got := writer.ParameterStatus("in_hot_standby") + writer.ParameterStatus("default_transaction_read_only"); got != "onon" {
		t.Errorf("the client was told %q", got)
	}
	whole = open(t, b.Cluster, r.Write, "whole", "")
	if got := whole.ParameterStatus("in_hot_standby"); got != "on" {
		t.Errorf("at its login a client was told in_hot_standby = %q", got)
	}
	for _, sql := range []string{"select n from kept", "set search_path to public", "select n from kept"} {
		if _, err := query(whole, sql); err != nil {
			t.Fatalf("in session mode: %s: %v", sql, err)
		}
	}
	if _, err := query(pinned, "select pg_advisory_lock(7); select n from kept"); err != nil {
		t.Fatalf("pinned: %v", err)
	}
	b.shows(t)
	if err := b.Standbys()[0].Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.isOver(t, writer, whole, pinned)
}

// shows checks that everybody is told that the cluster has no primary and reads are served.
func (b *bereaved) shows(t *testing.T) {
	t.Helper()
	r := b.router
	if r.Metrics()["pgrouter_pool_read_only"] == 0 {
		t.Error("the metrics do not say that reads are served without a primary")
	}
	r.AwaitLog("read_only_begun")
	for _, path := range []string{"/readyz", "/primary"} {
		status, body := b.get(t, path)
		if status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", path, status, body)
		}
		if path == "/readyz" && !strings.Contains(body, "serves reads in its place") {
			t.Errorf("%s: %s", path, body)
		}
	}
	rows := table(t, open(t, b.Cluster, r.Write, "pgrouter", ""), "show pools", "database", "read_only_on")
	for _, row := range rows {
		if row[0] == "whole" && row[1] == "" {
			t.Errorf("SHOW POOLS: %v", rows)
		}
	}
}

func (b *bereaved) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + b.router.Admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// isOver checks that nobody is left on a standby: the next unit is at the primary, in session mode too, and who has something on his server
// has lost it with a FATAL, so that he connects again.
func (b *bereaved) isOver(t *testing.T, writer, whole, pinned *pgconn.PgConn) {
	t.Helper()
	r := b.router
	r.Await("the new primary is served", time.Minute, func() bool {
		_, err := query(writer, "insert into kept values (8)")
		if writer.IsClosed() { // the standby refused it when the primary was proven already
			if code(err) != "57P01" {
				t.Fatalf("a write at that moment: %v", err)
			}
			writer = connect(t, b.Cluster, r.Write)
		}
		return err == nil
	})
	if got := writer.ParameterStatus("in_hot_standby") + writer.ParameterStatus("default_transaction_read_only"); got != "offoff" {
		t.Errorf("with the primary the client was told %q", got)
	}
	r.Await("the pinned session has lost its server", time.Minute, func() bool {
		_, err := query(pinned, "insert into kept values (9)")
		if code(err) == "25006" {
			t.Errorf("pinned: %v, although there is a primary", err)
		}
		return pinned.IsClosed()
	})
	r.Await("the one in session mode is at the primary", time.Minute, func() bool {
		_, err := query(whole, "insert into kept values (9)")
		return err == nil
	})
	if got, err := query(whole, "show search_path"); err != nil || got != "public" || whole.ParameterStatus("in_hot_standby") != "off" {
		t.Errorf("in session mode: search_path %q, %v, in_hot_standby = %q", got, err, whole.ParameterStatus("in_hot_standby"))
	}
	again := open(t, b.Cluster, r.Write, "whole", "")
	if got := again.ParameterStatus("in_hot_standby"); got != "off" {
		t.Errorf("the next login was told in_hot_standby = %q", got)
	}
	if got, err := query(again, "insert into kept values (10) returning n"); err != nil || got != "10" {
		t.Errorf("the next login: %q, %v", got, err)
	}
	if n := r.Metrics()["pgrouter_pool_read_only"]; n != 0 {
		t.Errorf("%v queues are served by a standby, although there is a primary", n)
	}
	r.AwaitLog("read_only_over")
}

// TestAFailoverInTimeIsAWaitAndNoError: before no_primary_after is over nobody is sent to a standby.
func TestAFailoverInTimeIsAWaitAndNoError(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 2})
	r := testrouter.Start(t, c, testrouter.Options{Pool: "no_primary = \"read-only\"\nno_primary_after = \"50s\"\n"})
	knows(r, 3)
	writer := connect(t, c, r.Write)
	if _, err := query(writer, "create table kept(n int)"); err != nil {
		t.Fatal(err)
	}
	if err := c.Primary().StopFast(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := query(writer, "insert into kept values (1)")
		done <- err
	}()
	r.Await("it waits", time.Minute, func() bool { return r.Metrics()["pgrouter_pool_waiting"] >= 1 })
	if err := c.Standbys()[0].Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatalf("a write during a failover: %v", err)
	}
}

// TestReadsGoOnInASplit: two nodes take writes and none is proven. A standby serves reads on both ports, and no write reaches either.
func TestReadsGoOnInASplit(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 2})
	r := testrouter.Start(t, c, testrouter.Options{Pool: readOnlyPool})
	knows(r, 3)
	writer, reader := connect(t, c, r.Write), connect(t, c, r.Read)
	if _, err := query(writer, "create table kept(n int)"); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReplicas(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Standbys()[0].RestartAsPrimary(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.AwaitLog("split_brain")
	for name, conn := range map[string]*pgconn.PgConn{"read": reader, "write": writer} {
		if got, err := query(conn, "select count(*) from kept"); err != nil || got != "0" {
			t.Fatalf("in a split, on the %s port: %q, %v\n%s", name, got, err, r.Tail())
		}
	}
	for _, sql := range []string{"insert into kept values (1)", "begin read write; insert into kept values (1)"} {
		if _, err := query(writer, sql); code(err) != "25006" && code(err) != "0A000" {
			t.Errorf("%s in a split: %v", sql, err)
		}
	}
	if during := connect(t, c, r.Write); during.ParameterStatus("in_hot_standby") != "on" {
		t.Error("a login during the split was not told that it is on a standby")
	}
	for _, n := range c.Nodes()[:2] {
		conn, err := n.ConnectTo(t.Context(), "app")
		if err != nil {
			t.Fatal(err)
		}
		var rows int
		if err := conn.QueryRow(t.Context(), "select count(*) from kept").Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%v has %d rows, %v", n, rows, err)
		}
		conn.Close(context.Background())
	}
	if err := c.Nodes()[1].StopFast(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Await("the same primary is back", time.Minute, func() bool {
		_, err := query(writer, "insert into kept values (1)")
		return err == nil
	})
	if after := connect(t, c, r.Write); after.ParameterStatus("in_hot_standby") != "off" {
		t.Error("a login behind the split was told what the standby said")
	}
}
