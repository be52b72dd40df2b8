package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/proxy"
)

// inLoops runs a test with one event loop and with three.
func inLoops(t *testing.T, test func(t *testing.T, loops int)) {
	t.Helper()
	for _, loops := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d loops", loops), func(t *testing.T) { test(t, loops) })
	}
}

func withLoops(n, size int) func(*router) {
	return func(r *router) { r.loops, r.policy.Pool.Size = n, size }
}

func TestAClientGetsItsAnswersThroughTheRouter(t *testing.T) {
	r, _ := newRouter(t, nil)
	conn := r.connect(context.Background(), "")
	if got := text(t, conn, "select 1"); got != "1" {
		t.Fatalf("select 1 = %q", got)
	}
	if got := text(t, conn, "select 2; select 3"); got != "2,3" {
		t.Fatalf("two statements = %q", got)
	}
	if _, err := query(conn, "select 1/0"); code(err) != "22012" {
		t.Fatalf("error = %v", err)
	}
	if got := conn.ParameterStatus("server_version"); got == "" {
		t.Fatal("no server_version at login")
	}
}

func TestManyClientsShareOneServerWithoutMixingAnswers(t *testing.T) {
	t.Helper()
	inLoops(t, func(t *testing.T, loops int) {
		t.Helper()
		r, _ := newRouter(t, withLoops(loops, 1))
		var clients sync.WaitGroup
		for i := range 12 {
			conn := r.connect(context.Background(), "")
			clients.Go(func() {
				for j := range 40 {
					want := fmt.Sprintf("%d-%d", i, j)
					got, err := query(conn, "begin; select '"+want+"'; commit")
					if err != nil || got != want {
						t.Errorf("client %d got %q, %v; want %q", i, got, err, want)
						return
					}
				}
			})
		}
		clients.Wait()
	})
}

func TestExtendedQueriesAndPipelinesShareOneServer(t *testing.T) {
	r, _ := newRouter(t, withLoops(1, 1))
	var clients sync.WaitGroup
	for i := range 6 {
		conn := r.connect(context.Background(), "")
		clients.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			for range 30 {
				want := strconv.Itoa(i)
				batch := &pgconn.Batch{}
				for range 5 {
					batch.ExecParams("select $1::text", [][]byte{[]byte(want)}, nil, nil, nil)
				}
				results, err := conn.ExecBatch(ctx, batch).ReadAll()
				if err != nil || len(results) != 5 || string(results[4].Rows[0][0]) != want {
					t.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// lib/pq prepares with Parse+Sync and runs with Bind+Sync: the unnamed statement has to follow the client.
func TestTheUnnamedStatementFollowsItsClientAcrossSync(t *testing.T) {
	r, _ := newRouter(t, withLoops(1, 1))
	a, b := r.raw(t), r.raw(t)
	a.send(pgwire.AppendSync(pgwire.AppendParse(nil, "", "select 'mine'", nil)))
	a.expect("1Z")
	b.send(pgwire.AppendSync(pgwire.AppendParse(nil, "", "select 'strange'", nil)))
	b.expect("1Z")
	run := pgwire.AppendSync(pgwire.AppendExecute(pgwire.AppendBind(nil, "", "", nil), "", 0))
	a.send(run)
	if got := a.expect("2DCZ"); !bytes.Contains(got, []byte("mine")) {
		t.Fatalf("a got %q", got)
	}
	c := r.raw(t)
	c.send(run)
	if got := c.expect("EZ"); !bytes.Contains(got, []byte("26000")) {
		t.Fatalf("a client without a statement got %q", got)
	}
}

func TestReportedParametersFollowTheClient(t *testing.T) {
	t.Helper()
	inLoops(t, func(t *testing.T, loops int) {
		t.Helper()
		r, _ := newRouter(t, withLoops(loops, 1))
		a := r.connect(context.Background(), "application_name=a timezone=Europe/Berlin")
		b := r.connect(context.Background(), "application_name=b")
		const ask = "select current_setting('application_name') || ' ' || current_setting('TimeZone') || ' ' || current_setting('datestyle')"
		text(t, b, "set datestyle = 'German'")
		for range 3 {
			if got := text(t, a, ask); got != "a Europe/Berlin ISO, MDY" {
				t.Fatalf("a sees %q", got)
			}
			if got := text(t, b, ask); !strings.HasPrefix(got, "b ") || !strings.HasSuffix(got, "German, DMY") || strings.Contains(got, "Berlin") {
				t.Fatalf("b sees %q", got)
			}
		}
		if got := a.ParameterStatus("TimeZone"); got != "Europe/Berlin" {
			t.Fatalf("a was told TimeZone %q", got)
		}
	})
}

func TestAStartupParameterThatTheServerRefusesIsTheClientsOwnError(t *testing.T) {
	r, _ := newRouter(t, nil)
	for param, want := range map[string]string{"timezone=Nowhere": "22023", "work_mem=lots": "22023", "no_such_setting=1": "42704"} {
		_, err := pgconn.Connect(context.Background(), r.dsn(param))
		if code(err) != want {
			t.Errorf("%s: %v, want %s", param, err, want)
		}
	}
	if _, err := pgconn.Connect(context.Background(), r.dsn("dbname=nowhere")); code(err) != "3D000" {
		t.Errorf("unknown database: %v", err)
	}
}

func TestASettingMovesAndDoesNotLeak(t *testing.T) {
	r, _ := newRouter(t, func(r *router) { r.policy.Pool.Size = 1 })
	a, b := r.connect(context.Background(), ""), r.connect(context.Background(), "")
	text(t, a, "set work_mem = '7MB'")
	for range 3 {
		if got := text(t, b, "show work_mem"); got == "7MB" {
			t.Fatal("b sees a's setting")
		}
		if got := text(t, a, "show work_mem"); got != "7MB" {
			t.Fatalf("a lost its setting: %s", got)
		}
	}
	if info := find(r, "setting"); info != nil {
		t.Fatalf("somebody is pinned: %+v", info)
	}
	a.Close(context.Background())
	if got := text(t, b, "show work_mem"); got == "7MB" {
		t.Fatal("the setting outlives its session")
	}
}

// TestALongQueryPinsForWhatStandsAtItsEnd: it passes in pieces, and a literal in it is no reason to pin.
func TestALongQueryPinsForWhatStandsAtItsEnd(t *testing.T) {
	r, _ := newRouter(t, withLoops(1, 2))
	a, b := r.connect(context.Background(), ""), r.connect(context.Background(), "")
	long := "select length('" + strings.Repeat("; set role x; -- ''", 30000) + "')"
	text(t, a, long)
	for _, info := range r.proxy.Clients() {
		if info.Pinned != "" {
			t.Fatalf("a literal pins: %+v", info)
		}
	}
	text(t, a, long+"; set work_mem = '7MB'")
	if info := find(r, "setting"); info == nil {
		t.Fatalf("nobody is pinned: %+v", r.proxy.Clients())
	}
	for range 3 {
		if got := text(t, b, "show work_mem"); got == "7MB" {
			t.Fatal("b sees a's setting")
		}
		if got := text(t, a, "show work_mem"); got != "7MB" {
			t.Fatalf("a lost its setting: %s", got)
		}
	}
}

func find(r *router, pinned string) *proxy.ClientInfo {
	for _, info := range r.proxy.Clients() {
		if info.Pinned == pinned {
			return &info
		}
	}
	return nil
}

func TestCopyBothWays(t *testing.T) {
	t.Helper()
	inLoops(t, func(t *testing.T, loops int) {
		t.Helper()
		r, _ := newRouter(t, withLoops(loops, 1))
		ctx := context.Background()
		conn := r.connect(ctx, "")
		text(t, conn, "create table copied(line text)")
		var in strings.Builder
		for i := range 50000 {
			fmt.Fprintf(&in, "line %d of a copy that is longer than every buffer\n", i)
		}
		if _, err := conn.CopyFrom(ctx, strings.NewReader(in.String()), "copy copied from stdin"); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := conn.CopyTo(ctx, &out, "copy copied to stdout"); err != nil {
			t.Fatal(err)
		}
		if out.String() != in.String() {
			t.Fatalf("copied %d bytes, got %d", in.Len(), out.Len())
		}
		if _, err := conn.CopyFrom(ctx, io.LimitReader(strings.NewReader(in.String()), 10), "copy nowhere from stdin"); code(err) != "42P01" {
			t.Fatalf("copy into nothing: %v", err)
		}
		if got := text(t, conn, "select count(*) from copied"); got != "50000" {
			t.Fatalf("%s rows", got)
		}
	})
}

func TestAHugeRowPassesInPieces(t *testing.T) {
	r, _ := newRouter(t, nil)
	conn := r.connect(context.Background(), "")
	got := text(t, conn, "select repeat('x', 100000000)")
	if len(got) != 100000000 {
		t.Fatalf("%d bytes", len(got))
	}
}

func TestCancelStopsTheRunningQueryAndNobodyElses(t *testing.T) {
	t.Helper()
	inLoops(t, func(t *testing.T, loops int) {
		t.Helper()
		r, c := newRouter(t, withLoops(loops, 2))
		a, b := r.connect(context.Background(), ""), r.connect(context.Background(), "")
		started := make(chan error, 1)
		go func() { _, err := query(a, "select pg_sleep(30)"); started <- err }()
		// On the server: one that has not begun yet takes no notice of a cancel request.
		r.awaitServers(c, "select count(*) from pg_stat_activity where query = 'select pg_sleep(30)' and state = 'active'", "1")
		for range 5 {
			if err := b.CancelRequest(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if got := text(t, b, "select 1"); got != "1" {
			t.Fatal(got)
		}
		if err := a.CancelRequest(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := <-started; code(err) != "57014" {
			t.Fatalf("cancelled query: %v", err)
		}
		if got := text(t, a, "select 2"); got != "2" {
			t.Fatal(got)
		}
	})
}

func TestAClientThatDiesInATransactionLeavesNoTrace(t *testing.T) {
	r, _ := newRouter(t, withLoops(1, 1))
	setup := r.connect(context.Background(), "")
	text(t, setup, "create table traces(n int)")
	a := r.raw(t)
	a.send(pgwire.AppendQuery(nil, "begin; insert into traces values (1)"))
	a.expect("CCZ")
	a.conn.Close()
	for range 3 {
		if got := text(t, setup, "select count(*) from traces"); got != "0" {
			t.Fatalf("%s rows of a dead client", got)
		}
	}
}

func TestAQueryWithTerminateInOnePacketIsDone(t *testing.T) {
	r, _ := newRouter(t, withLoops(1, 1))
	conn := r.connect(context.Background(), "")
	text(t, conn, "create table done(n int)")
	a := r.raw(t)
	a.send(pgwire.AppendTerminate(pgwire.AppendQuery(nil, "insert into done values (1)")))
	a.expect("CZ")
	if _, err := a.conn.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("after Terminate: %v", err)
	}
	b := r.raw(t)
	b.send(pgwire.AppendQuery(nil, "insert into done values (2)"))
	if err := b.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b.expect("CZ")
	if got := text(t, conn, "select count(*) from done"); got != "2" {
		t.Fatalf("%s rows", got)
	}
}

func TestSessionModeKeepsTheServerAndResetsIt(t *testing.T) {
	r, _ := newRouter(t, func(r *router) { r.policy.Mode = proxy.ModeSession; r.policy.Pool.Size = 1 })
	a := r.connect(context.Background(), "")
	text(t, a, "set work_mem = '9MB'; create temp table mine(n int)")
	pid := text(t, a, "select pg_backend_pid()")
	if got := text(t, a, "select pg_backend_pid() from mine right join (select 1) x on true"); got != pid {
		t.Fatalf("pid %s, then %s", pid, got)
	}
	a.Close(context.Background())
	b := r.connect(context.Background(), "")
	if got := text(t, b, "show work_mem"); got == "9MB" {
		t.Fatal("the next session sees the last one's setting")
	}
	if _, err := query(b, "select * from mine"); code(err) != "42P01" {
		t.Fatalf("temp table of another: %v", err)
	}
}

// TestInSessionModeAResetGoesBackToWhatTheClientBeganWith lets clients of two kinds reset all, one after the other.
func TestInSessionModeAResetGoesBackToWhatTheClientBeganWith(t *testing.T) {
	r, _ := newRouter(t, func(r *router) { r.policy.Mode = proxy.ModeSession })
	for _, zone := range []string{"Asia/Tokyo", "Europe/Vienna", "Asia/Tokyo"} {
		conn := r.connect(t.Context(), "timezone="+zone)
		for _, reset := range []string{"reset TimeZone", "reset all", "discard all"} {
			if got := text(t, conn, "show TimeZone"); got != zone {
				t.Fatalf("before %s: %s, not %s", reset, got, zone)
			}
			if _, err := query(conn, "set TimeZone = 'America/Lima'"); err != nil {
				t.Fatal(err)
			}
			if _, err := query(conn, reset); err != nil || conn.ParameterStatus("TimeZone") != zone {
				t.Fatalf("after %s: %s, not %s: %v", reset, conn.ParameterStatus("TimeZone"), zone, err)
			}
		}
		conn.Close(t.Context())
	}
}

// TestClientsMoveBetweenLoopsWithoutLosingAByte makes every client change its loop at every unit, while some are cancelled.
func TestClientsMoveBetweenLoopsWithoutLosingAByte(t *testing.T) {
	r, _ := newRouter(t, withLoops(3, 2))
	r.proxy.MoveAlways()
	var clients sync.WaitGroup
	for i := range 8 {
		conn := r.connect(context.Background(), "")
		clients.Go(func() {
			for j := range 60 {
				want := fmt.Sprintf("%d-%d-%s", i, j, strings.Repeat("x", 3000))
				got, err := query(conn, "select '"+want+"'")
				if err != nil || got != want {
					t.Errorf("client %d: %d bytes, %v", i, len(got), err)
					return
				}
				if j%20 == 0 {
					if err := conn.CancelRequest(context.Background()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	clients.Wait()
	if r.proxy.Moves() < 8*60 {
		t.Fatalf("%d moves", r.proxy.Moves())
	}
}
