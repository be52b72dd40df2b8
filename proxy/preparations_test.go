package proxy_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// codeOf runs a query, and returns its first column or the SQLSTATE that it has failed with.
func codeOf(conn *pgconn.PgConn, sql string) string {
	got, err := query(conn, sql)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return got
}

// TestWhatWasMissingIsThereAgain: a statement of SQL's whose table was gone when the client got another server is prepared again there,
// in front of each unit of work, while a temporary table keeps the client on it.
func TestWhatWasMissingIsThereAgain(t *testing.T) {
	r, _ := newRouter(t, nil)
	a := r.connect(t.Context(), "")
	for _, sql := range []string{"create table again(n int)", "prepare p as select n from again", "prepare q as select 7", "drop table again"} {
		text(t, a, sql)
	}
	first := text(t, a, "select pg_backend_pid()")
	text(t, r.connect(t.Context(), ""), "begin") // keeps the server on which they were prepared
	text(t, a, "create temp table unrelated(n int)")
	if text(t, a, "select pg_backend_pid()") == first {
		t.Fatal("the client has its old server")
	}
	for i, step := range []struct{ sql, want string }{
		{"execute p", "42P01"},
		{"create temp table again(other int)", ""},
		{"execute p", "42703"}, // why it fails now
		{"execute q", "7"},
		{"drop table again", ""},
		{"begin", ""}, {"create temp table again as select 1 as n", ""},
		{"execute p", "42P01"}, // nothing is prepared again in a block
		{"rollback", ""},
		{"create temp table again as select 2 as n", ""},
		{"begin", ""}, {"execute p", "2"}, {"commit", ""},
		{"execute p", "2"},
		{"prepare p as select 3", "42P05"},
		{"deallocate p", ""},
		{"execute p", "26000"},
	} {
		if got := codeOf(a, step.sql); got != step.want {
			t.Errorf("%d, %s: %q, want %q", i, step.sql, got, step.want)
		}
	}
}

// TestPoliciesOfRowsAreThoseOfNow for a statement that SQL has prepared, as PostgreSQL plans it anew when the role has changed or
// row_security.
func TestPoliciesOfRowsAreThoseOfNow(t *testing.T) {
	r, c := newRouter(t, nil)
	const policy = "drop table if exists guarded; drop role if exists guest; create role guest; grant guest to app; create table guarded as select n from generate_series(1, 4) n;" +
		" alter table guarded owner to app, enable row level security; grant select on guarded to guest; create policy even on guarded to guest using (n % 2 = 0)"
	if err := c.Primary().Exec(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	a := r.connect(t.Context(), "")
	for _, sql := range []string{"set row_security = off", "prepare p as select n from guarded order by n", "set role guest"} {
		text(t, a, sql)
	}
	text(t, r.connect(t.Context(), ""), "begin")
	for i, step := range []struct{ sql, want string }{
		{"execute p", "42501"},
		{"set row_security = on", ""}, {"execute p", "2,4"},
		{"reset role", ""}, {"execute p", "1,2,3,4"},
	} {
		if got := codeOf(a, step.sql); got != step.want {
			t.Errorf("%d, %s: %q, want %q", i, step.sql, got, step.want)
		}
	}
}
