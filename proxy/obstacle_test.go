package proxy_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/topology"
)

// says fails unless an error has this SQLSTATE, and a DETAIL with the cause. The pool is not to blame.
func says(t *testing.T, said *pgconn.PgError, code, cause string) {
	t.Helper()
	if said.Code != code || !strings.Contains(said.Detail, cause) || strings.Contains(said.Hint, "too small") {
		t.Errorf("told %s %q, detail %q, hint %q", said.Code, said.Message, said.Detail, said.Hint)
	}
}

func (r *router) refusedLogin(more string) *pgconn.PgError {
	r.t.Helper()
	conn, err := pgconn.Connect(context.Background(), r.dsn(more))
	if err == nil {
		r.t.Cleanup(func() { conn.Close(context.Background()) })
	}
	return told(r.t, err)
}

// told returns what the router said.
func told(t testing.TB, err error) *pgconn.PgError {
	t.Helper()
	said, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		t.Fatalf("nothing was said: %v", err)
	}
	return said
}

// toldInTime asks until the server answers while somebody waits. On a busy machine that takes longer than one waits here.
func (r *router) toldInTime(ask func() *pgconn.PgError) (said *pgconn.PgError) {
	r.t.Helper()
	r.await("the server has answered while somebody waits", func() bool {
		said = ask()
		return said.Code != "53300"
	})
	return said
}

func withBriefLimits(r *router) {
	r.policy.LoginHoldTimeout, r.policy.WaitTimeout, r.policy.HoldTimeout = brief, 3*brief, brief
}

func TestALoginToANodeThatRefusesConnectionsIsToldSo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	r := &router{t: t, policy: defaultPolicy(), loops: 1}
	withBriefLimits(r)
	r.start()
	r.show("n", topology.Node{ID: "n", Address: address})
	says(t, r.refusedLogin(""), "57P03", "connection refused")
}

func TestWhatAServerSaysAgainstMoreConnectionsIsToldToWhoWaitsForOne(t *testing.T) {
	r, c := newRouter(t, withBriefLimits)
	limit := func(n string) {
		if err := c.Primary().Exec(context.Background(), "alter role app connection limit "+n); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { limit("-1") })
	limit("0")
	says(t, r.toldInTime(func() *pgconn.PgError { return r.refusedLogin("") }), "57P03", "too many connections for role")
	limit("1")
	var a *pgconn.PgConn
	r.await("the server lets somebody in again", func() bool {
		var err error
		a, err = pgconn.Connect(context.Background(), r.dsn(""))
		return err == nil
	})
	t.Cleanup(func() { a.Close(context.Background()) })
	text(t, a, "begin")
	said := r.toldInTime(func() *pgconn.PgError {
		_, err := query(r.connect(context.Background(), ""), "select 1")
		return told(t, err)
	})
	says(t, said, "57P03", "too many connections for role") // the pool has room for another connection
	text(t, a, "commit")
}

func TestALoginIsToldThatItsDatabaseIsPaused(t *testing.T) {
	r, _ := newRouter(t, withBriefLimits)
	r.pool.Pause("app", time.Hour)
	says(t, r.refusedLogin(""), "57P03", "(paused)")
}

func TestALoginIsToldThatAllOfThePoolIsTaken(t *testing.T) {
	r, _ := newRouter(t, func(r *router) {
		withBriefLimits(r)
		r.policy.Pool.Size = 1
	})
	a := r.connect(context.Background(), "")
	text(t, a, "begin")
	said := r.refusedLogin("timezone=Asia/Tokyo")
	if said.Code != "53300" || !strings.Contains(said.Hint, "too small") || !strings.Contains(said.Detail, "(exhausted)") {
		t.Errorf("told %s, hint %q, detail %q", said.Code, said.Hint, said.Detail)
	}
}
