package system

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// TestASessionInSessionModeOutlivesItsServer: when the server process is ended, and when the primary is another one, with the parameters
// that it has set and those that it began with. Who holds what cannot be moved is told so.
func TestASessionInSessionModeOutlivesItsServer(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Start(t, c, testrouter.Options{More: sessionTable})
	ask := func(conn *pgconn.PgConn, sql, want string) {
		t.Helper()
		if got, err := query(conn, sql); err != nil || want != "" && got != want {
			t.Fatalf("%s: %q, %v, want %q", sql, got, err, want)
		}
	}
	const parameters = "&search_path=pg_catalog&datestyle=German"
	lasting, holding := open(t, c, r.Write, "whole", parameters), open(t, c, r.Write, "whole", parameters)
	ask(lasting, "set timezone to 'Asia/Tokyo'", "")
	ask(holding, "select pg_advisory_lock(1)", "")

	direct, err := c.Primary().ConnectTo(t.Context(), testcluster.DefaultDatabase)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(t.Context())
	pid, err := query(lasting, "select pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := direct.Exec(t.Context(), "select pg_terminate_backend($1::text::int, 60000)", pid); err != nil {
		t.Fatal(err)
	}
	ask(lasting, "show timezone", "Asia/Tokyo")
	ask(lasting, "select pg_backend_pid() <> "+pid, "t")

	old, next := c.Primary(), c.Standbys()[0]
	if err := old.StopFast(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := next.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask(lasting, "show timezone", "Asia/Tokyo")
	ask(lasting, "show datestyle", "German, DMY")
	ask(lasting, "show search_path", "pg_catalog")
	if _, err := query(holding, "select 1"); code(err) != "57P01" {
		t.Errorf("who has a lock: %v", err)
	}
}
