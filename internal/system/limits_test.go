package system

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// TestLimitsOfServerConnectionsMakeOneWaitAndTheIdleMakeRoom: whichever limit is 1, while a client of one queue has the connection that
// of another queue waits, and is told 53300 in the end; when the connection is idle it makes room.
func TestLimitsOfServerConnectionsMakeOneWaitAndTheIdleMakeRoom(t *testing.T) {
	c := sharedCluster(t)
	for _, limit := range []struct{ name, caps, more string }{
		{"all", "max_server_connections = 1", ""},
		{"node", "max_node_connections = 1", ""},
		{"database", "max_db_connections = 1", ""},
		{"user", "", "[user.app]\nmax_user_connections = 1\n"},
	} {
		t.Run(limit.name, func(t *testing.T) {
			t.Parallel() // each waits for the end of wait_timeout
			r := testrouter.Start(t, c, testrouter.Options{Caps: limit.caps, More: limit.more + "[database.app]\nwait_timeout = \"10m\"\n"})
			rich := connect(t, c, r.Write)
			poor, err := pgconn.Connect(context.Background(), c.DSN(r.Write, "app", "app")+"&ignore_system_indexes=off") // another queue
			if err == nil {
				_, err = query(poor, "select 1")
			}
			if err != nil {
				t.Fatalf("the idle connection did not make room: %v", err)
			}
			if _, err := query(rich, "begin; select 1"); err != nil {
				t.Fatal(err)
			}
			r.Rewrite("pgrouter.toml", func(text string) string { return strings.Replace(text, "\"10m\"", "\"1s\"", 1) }) // nobody will be served
			if _, err := query(open(t, c, r.Write, "pgrouter", ""), "RELOAD"); err != nil {
				t.Fatal(err)
			}
			if _, err := query(poor, "select 1"); code(err) != "53300" || !strings.Contains(err.(*pgconn.PgError).Detail, "server_limit") {
				t.Errorf("who waits under the limit is told %v", err)
			}
			if _, err := query(rich, "commit"); err != nil {
				t.Fatal(err)
			}
			m := r.Metrics()
			if m["pgrouter_server_connections_refused_total"] == 0 || m["pgrouter_server_connections"] != 1 {
				t.Errorf("refused %v, connections %v", m["pgrouter_server_connections_refused_total"], m["pgrouter_server_connections"])
			}
		})
	}
}

// code returns the SQLSTATE of a server's error.
func code(err error) string {
	if e, ok := err.(*pgconn.PgError); ok {
		return e.Code
	}
	return ""
}

func TestLimitsOfClientsRefuseTheNewestAndCountHim(t *testing.T) {
	c := sharedCluster(t)
	for _, limit := range []struct{ name, caps, more, code string }{
		{"all", "max_clients = 2", "", "53300"},
		{"database", "max_db_client_connections = 2", "", "53300"},
		{"user", "max_user_client_connections = 1", "[user.app]\nmax_user_client_connections = 2\n", "53300"},
		{"unlisted", "databases = \"listed\"", "[database.another]\n", "3D000"},
	} {
		t.Run(limit.name, func(t *testing.T) {
			r := testrouter.Start(t, c, testrouter.Options{Caps: limit.caps, More: limit.more})
			dsn := c.DSN(r.Write, testcluster.AppUser, testcluster.DefaultDatabase)
			var in []*pgconn.PgConn
			var err error
			for len(in) < 3 && err == nil {
				var conn *pgconn.PgConn
				if conn, err = pgconn.Connect(context.Background(), dsn); err == nil {
					in = append(in, conn)
				}
			}
			if limit.name != "unlisted" && len(in) != 2 {
				t.Errorf("%d clients came in", len(in))
			}
			if err == nil || !strings.Contains(err.Error(), limit.code) {
				t.Errorf("the next is told %v", err)
			}
			if n := r.Metrics()["pgrouter_client_refused_total"]; n != 1 {
				t.Errorf("%v refusals are counted", n)
			}
			for i, conn := range in {
				if i == 0 {
					conn.Close(context.Background())
					continue
				}
				defer conn.Close(context.Background())
			}
			if len(in) == 0 {
				return
			}
			r.Await("the place is free again", time.Minute, func() bool {
				conn, err := pgconn.Connect(context.Background(), dsn)
				if err == nil {
					conn.Close(context.Background())
				}
				return err == nil
			})
		})
	}
}
