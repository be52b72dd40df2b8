package system

import (
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// hosts are addresses of one machine each: its PgBouncer and its PostgreSQL listen on the same ports everywhere, as they do in production.
var hosts = [...]string{"127.0.0.11", "127.0.0.12"}

// forward lets a node be reached at another address.
func forward(t *testing.T, from string, n *testcluster.Node) {
	t.Helper()
	ln, err := net.Listen("tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { ln.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { splice(conn, n.Addr()) })
		}
	})
}

// splice joins a connection with an address until either ends.
func splice(conn net.Conn, to string) {
	defer conn.Close()
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{conn, far}, {far, conn}} {
		go func() {
			io.Copy(pair[0], pair[1])
			pair[0].Close()
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}

// pooledConfig is a router in front of them.
const pooledConfig = `
[auth]
userlist = "userlist.txt"
[pool]
mode = "session"
hold_timeout = "60s"
login_hold_timeout = "60s"
[cluster.main]
nodes = []
probe_password_file = "probe-password.txt"
state_dir = ""
%s
[[listener]]
address = "127.0.0.1:5000"
[[listener]]
address = "127.0.0.1:5001"
route = "replica"
`

// pooled is a cluster with a PgBouncer on each node, and a router that works through these, not running yet.
func pooled(t *testing.T, lines, more string) (*testcluster.Cluster, *testrouter.Process) {
	t.Helper()
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	_, own, _ := strings.Cut(testrouter.FreeAddress(t), ":")
	var nodes []string
	for i, n := range c.Nodes() {
		forward(t, hosts[i]+":"+own, n)
		nodes = append(nodes, fmt.Sprintf("%q", bouncer(t, c, n, hosts[i], lines)))
	}
	r := testrouter.Prepare(t, c, fmt.Sprintf(pooledConfig, strings.ReplaceAll(more, "OWN", own)))
	r.Rewrite("pgrouter.toml", func(text string) string {
		return regexp.MustCompile("(?m)^nodes = .*$").ReplaceAllString(text, "nodes = ["+strings.Join(nodes, ", ")+"]")
	})
	return c, r
}

// TestARouterWorksThroughPgBouncersAndWatchesPostgreSQLItself: a step on the way from a PgBouncer on each node to none. Roles, a
// failover, cancelling and prepared statements are as without them.
func TestARouterWorksThroughPgBouncersAndWatchesPostgreSQLItself(t *testing.T) {
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			c, r := pooled(t, "pool_mode = "+mode, "probe_port = OWN")
			r.Run()
			knows(r, 2)
			writer, reader := connect(t, c, r.Write), connect(t, c, r.Read)
			if _, err := query(writer, "create table kept(n int); insert into kept values (7)"); err != nil {
				t.Fatal(err)
			}
			if got, err := query(reader, "select pg_is_in_recovery()"); err != nil || got != "t" {
				t.Fatalf("the read port: %q, %v", got, err)
			}
			cancels(t, writer)
			if _, err := writer.Prepare(t.Context(), "mine", "select n from kept where n = $1", nil); err != nil {
				t.Fatalf("prepared: %v", err)
			}
			if got := writer.ExecPrepared(t.Context(), "mine", [][]byte{[]byte("7")}, nil, nil).Read(); got.Err != nil || len(got.Rows) != 1 {
				t.Errorf("executed: %v, %d rows", got.Err, len(got.Rows))
			}
			other := connect(t, c, r.Write)
			if err := c.WaitReplicas(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := c.Primary().StopFast(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := c.Standbys()[0].Promote(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := query(other, "insert into kept values (8)"); err != nil {
				t.Fatalf("a client that was idle during the failover: %v\n%s", err, r.Tail())
			}
			again := connect(t, c, r.Write)
			if got := again.ParameterStatus("in_hot_standby"); got != "off" {
				t.Errorf("a login after it was told in_hot_standby = %q", got)
			}
			if got, err := query(again, "select count(*) from kept"); err != nil || got != "2" {
				t.Errorf("after it: %q, %v", got, err)
			}
		})
	}
}

// cancels cancels a statement.
func cancels(t *testing.T, conn *pgconn.PgConn) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := query(conn, "select pg_sleep(60)")
		done <- err
	}()
	for {
		if err := conn.CancelRequest(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if code(err) != "57014" {
				t.Fatalf("a cancelled statement: %v", err)
			}
			return
		case <-time.After(100 * time.Millisecond): // the statement had not begun: once more
		}
	}
}

// TestAPoolerIsNeverWatched: a router that was given PgBouncer's port alone serves nobody, and says what to do, also where PgBouncer was
// told to take what probes send.
func TestAPoolerIsNeverWatched(t *testing.T) {
	for lines, want := range map[string]string{
		"pool_mode = session": "this is PgBouncer, set probe_port of the cluster",
		"pool_mode = transaction\nignore_startup_parameters = default_transaction_isolation": "a connection pooler answers, not PostgreSQL itself",
	} {
		c, r := pooled(t, lines, "")
		r.Begin()
		r.Await("it says: "+want, time.Minute, func() bool { return strings.Contains(r.Tail(), want) })
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if conn, err := pgconn.Connect(ctx, c.DSN(r.Write, "app", "app")); err == nil {
			conn.Close(ctx)
			t.Error("somebody was let in")
		}
	}
}
