package admin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/lib/pq"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/proxy"
)

// rawConsole is a console without a login, and a client that sends messages as it likes.
func rawConsole(t *testing.T, s *scene) (net.Conn, *pgproto3.Frontend) {
	t.Helper()
	a, _ := newAdmin(t, s)
	near, far := net.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- a.Console().Serve(context.Background(), far, proxy.Login{User: "boss", Database: "pgrouter", Cancelled: s.cancelled})
		far.Close()
	}()
	t.Cleanup(func() {
		near.Close()
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	near.SetDeadline(time.Now().Add(time.Minute))
	return near, pgproto3.NewFrontend(near, near)
}

// answers sends messages and returns what comes back, up to the last ReadyForQuery that is due.
func answers(t *testing.T, f *pgproto3.Frontend, messages ...pgproto3.FrontendMessage) []string {
	t.Helper()
	due := 0
	for _, m := range messages {
		f.Send(m)
		switch m.(type) {
		case *pgproto3.Sync, *pgproto3.Query, *pgproto3.FunctionCall:
			due++
		}
	}
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for due > 0 {
		msg, err := f.Receive()
		if err != nil {
			t.Fatalf("%v after %v", err, got)
		}
		name := strings.TrimPrefix(fmt.Sprintf("%T", msg), "*pgproto3.")
		switch m := msg.(type) {
		case *pgproto3.CommandComplete:
			name += " " + string(m.CommandTag)
		case *pgproto3.ErrorResponse:
			name += " " + m.Code
		case *pgproto3.RowDescription:
			name += fmt.Sprintf(" %s/%d", m.Fields[0].Name, m.Fields[0].Format)
		case *pgproto3.ReadyForQuery:
			name += " " + string(m.TxStatus)
			due--
		}
		got = append(got, name)
	}
	return got
}

// portalRun is what drivers such as JDBC's send for a statement without parameters.
func portalRun(text string, rows uint32) []pgproto3.FrontendMessage {
	return []pgproto3.FrontendMessage{
		&pgproto3.Parse{Query: text}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{MaxRows: rows}, &pgproto3.Sync{},
	}
}

func TestTheExtendedProtocolWorksWithoutParametersMessageByMessage(t *testing.T) {
	_, f := rawConsole(t, manyQueues())
	for _, tc := range []struct {
		name string
		send []pgproto3.FrontendMessage
		want string
	}{
		{"a setting", portalRun("SET extra_float_digits = 3", 1), "ParseComplete, BindComplete, NoData, CommandComplete SET, ReadyForQuery I"},
		{"nothing", portalRun("", 0), "ParseComplete, BindComplete, NoData, EmptyQueryResponse, ReadyForQuery I"},
		{"a comment", portalRun("/* a; 'b' /* c */ */ -- d", 0), "ParseComplete, BindComplete, NoData, EmptyQueryResponse, ReadyForQuery I"},
		{"rows", portalRun("show version;", 0), "ParseComplete, BindComplete, RowDescription version/0, DataRow, CommandComplete SHOW, ReadyForQuery I"},
		{"a block", portalRun("BEGIN READ ONLY", 0), "ParseComplete, BindComplete, NoData, CommandComplete BEGIN, ReadyForQuery T"},
		{"rows by turns", append(portalRun("SHOW POOLS", 2), &pgproto3.Execute{MaxRows: 2}, &pgproto3.Execute{}, &pgproto3.Sync{}),
			"ParseComplete, BindComplete, RowDescription database/0, DataRow, DataRow, PortalSuspended, ReadyForQuery T, " +
				"DataRow, CommandComplete SHOW, CommandComplete SHOW, ReadyForQuery T"},
		{"a savepoint", []pgproto3.FrontendMessage{&pgproto3.Query{String: "savepoint a; release savepoint a; rollback to a"}},
			"CommandComplete SAVEPOINT, CommandComplete RELEASE, CommandComplete ROLLBACK, ReadyForQuery T"},
		{"the end of the block", portalRun("ROLLBACK", 0), "ParseComplete, BindComplete, NoData, CommandComplete ROLLBACK, ReadyForQuery I"},
		{"no portal without a block", []pgproto3.FrontendMessage{&pgproto3.Execute{}, &pgproto3.Sync{}}, "ErrorResponse 42704, ReadyForQuery I"},
		{"binary", []pgproto3.FrontendMessage{
			&pgproto3.Parse{Name: "s", Query: "show version"}, &pgproto3.Describe{ObjectType: 'S', Name: "s"},
			&pgproto3.Bind{PreparedStatement: "s", ResultFormatCodes: []int16{1}}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{},
		}, "ParseComplete, ParameterDescription, RowDescription version/0, BindComplete, RowDescription version/1, DataRow, CommandComplete SHOW, ReadyForQuery I"},
		{"a name twice", []pgproto3.FrontendMessage{&pgproto3.Parse{Name: "s", Query: "show version"}, &pgproto3.Bind{}, &pgproto3.Sync{}}, "ErrorResponse 42P05, ReadyForQuery I"},
		{"closed", []pgproto3.FrontendMessage{
			&pgproto3.Close{ObjectType: 'S', Name: "s"}, &pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Sync{},
		}, "CloseComplete, ErrorResponse 26000, ReadyForQuery I"},
		{"forgotten", []pgproto3.FrontendMessage{
			&pgproto3.Parse{Name: "a", Query: "show version"}, &pgproto3.Parse{Name: "b", Query: "show version"}, &pgproto3.Sync{},
			&pgproto3.Query{String: `deallocate prepare "a"`}, &pgproto3.Query{String: "deallocate a"}, &pgproto3.Query{String: "DEALLOCATE all"},
			&pgproto3.Bind{PreparedStatement: "b"}, &pgproto3.Sync{},
		}, "ParseComplete, ParseComplete, ReadyForQuery I, CommandComplete DEALLOCATE, ReadyForQuery I, ErrorResponse 26000, ReadyForQuery I, " +
			"CommandComplete DEALLOCATE, ReadyForQuery I, ErrorResponse 26000, ReadyForQuery I"},
		{"no such command", portalRun("select 1", 0), "ErrorResponse 42601, ReadyForQuery I"},
		{"two commands", portalRun("pause; resume", 0), "ErrorResponse 42601, ReadyForQuery I"},
		{"parameters", []pgproto3.FrontendMessage{
			&pgproto3.Parse{Query: "show version", ParameterOIDs: []uint32{25}}, &pgproto3.Bind{}, &pgproto3.Sync{},
		}, "ErrorResponse 0A000, ReadyForQuery I"},
		{"values", []pgproto3.FrontendMessage{
			&pgproto3.Parse{Query: "show version"}, &pgproto3.Bind{Parameters: [][]byte{[]byte("x")}}, &pgproto3.Execute{}, &pgproto3.Sync{},
		}, "ParseComplete, ErrorResponse 0A000, ReadyForQuery I"},
		{"a function", []pgproto3.FrontendMessage{&pgproto3.FunctionCall{}}, "ErrorResponse 0A000, ReadyForQuery I"},
		{"the simple protocol again", []pgproto3.FrontendMessage{&pgproto3.Query{String: "begin; set datestyle to iso, mdy; commit; -- the end"}},
			"CommandComplete BEGIN, CommandComplete SET, CommandComplete COMMIT, ReadyForQuery I"},
	} {
		if got := strings.Join(answers(t, f, tc.send...), ", "); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestAConsoleClientMayNotPrepareWithoutEnd(t *testing.T) {
	_, f := rawConsole(t, &scene{})
	for i := range preparedLimit {
		f.Send(&pgproto3.Parse{Name: strconv.Itoa(i), Query: "show version"})
		if got := answers(t, f, &pgproto3.Sync{}); got[0] != "ParseComplete" {
			t.Fatalf("statement %d: %v", i, got)
		}
	}
	if got := answers(t, f, &pgproto3.Parse{Name: "more", Query: "show version"}, &pgproto3.Sync{}); got[0] != "ErrorResponse 53400" {
		t.Errorf("one more: %v", got)
	}
}

func TestSettingsOfPostgreSQLAreAcceptedAndOthersAreNot(t *testing.T) {
	conn := console(t, &scene{}, "watcher")
	for sql, want := range map[string]string{
		"set extra_float_digits = 3":                   "SET",
		"SET application_name='x=y; z'":                "SET",
		`set session "TimeZone" to 'UTC'`:              "SET",
		"set local statement_timeout=0":                "SET",
		"SET NAMES 'utf8'":                             "SET",
		"set time zone local":                          "SET",
		"set datestyle to iso, mdy":                    "SET",
		"set my_extension.level = 3":                   "SET",
		"set transaction isolation level serializable": "SET",
		"set session characteristics as transaction isolation level read committed": "SET",
		"reset all":                 "RESET",
		"reset client_min_messages": "RESET",
		"discard all":               "DISCARD ALL",
		"begin isolation level serializable, read write": "BEGIN",
		"start transaction read only":                    "START TRANSACTION",
		"end work":                                       "COMMIT",
		"abort":                                          "ROLLBACK",
		"set":                                            "42601",
		"set extra_float_digits":                         "42601",
		"set extra_float_digits =":                       "42601",
		"set timezone utc":                               "42601",
		"set hold_timeout = '1s'":                        "42501",
		"set pool.size = 3":                              "42501",
		"set default_pool_size = 3":                      "42501",
		"set server_version = '9'":                       "55000",
		"reset nonsense":                                 "42704",
		"rollback prepared":                              "42601",
		"commit prepared":                                "42601",
		"show nonsense":                                  "42601",
		"show statement_timeout more":                    "42601",
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec} {
			tag, err := conn.Exec(t.Context(), sql, mode)
			got := tag.String()
			if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
				got = pg.Code
			}
			if got != want {
				t.Errorf("%s in mode %v: %s (%v), want %s", sql, mode, got, err, want)
			}
		}
	}
	for sql, want := range map[string]string{
		"show server_version": "15.0 (pgrouter 9.9)", "SHOW timezone": "GMT", "show time zone": "GMT", "show transaction isolation level": "read committed",
		`show "DateStyle"`: "ISO",
	} {
		var got string
		if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, %v", sql, got, err)
		}
	}
}

// listenConsole serves every client that comes as boss.
func listenConsole(t *testing.T, s *scene) string {
	t.Helper()
	a, _ := newAdmin(t, s)
	c := a.Console()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if greet(conn, c) == nil {
				_ = c.Serve(ctx, conn, proxy.Login{User: "boss", Database: "pgrouter", Cancelled: s.cancelled})
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		cancel()
		ln.Close()
		<-done
	})
	return ln.Addr().String()
}

func TestLibPQUsesTheConsoleWithItsTransactionsAndPings(t *testing.T) {
	address := listenConsole(t, manyQueues())
	connector, err := pq.NewConnector("host=127.0.0.1 port=" + port(address) + " user=boss dbname=pgrouter sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetMaxOpenConns(1)
	useDB(t, db)
}

// useDB does what monitoring tools do over database/sql.
func useDB(t *testing.T, db *sql.DB) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := db.PingContext(ctx); err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := tx.QueryContext(ctx, "SHOW POOLS")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for rows.Next() {
		count++
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || count != 3 {
		t.Errorf("%d rows, %v", count, err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	statement, err := db.PrepareContext(ctx, "show version")
	if err != nil {
		t.Fatal(err)
	}
	defer statement.Close()
	var version string
	for range 2 {
		if err := statement.QueryRowContext(ctx).Scan(&version); err != nil || version != "pgrouter 9.9" {
			t.Errorf("%q, %v", version, err)
		}
	}
}

func TestPgxUsesTheConsoleAsItIs(t *testing.T) {
	conn := console(t, manyQueues(), "boss")
	if err := conn.Ping(t.Context()); err != nil { // sends a comment
		t.Fatal(err)
	}
	tx, err := conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly})
	if err != nil {
		t.Fatal(err)
	}
	var version string
	if err := tx.QueryRow(t.Context(), "show version").Scan(&version); err != nil {
		t.Error(err)
	}
	if status := conn.PgConn().TxStatus(); status != pgwire.StatusInTransaction {
		t.Errorf("in the block: %c", status)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([][]string{{"session"}}, only(table(t, conn, "show pools")[1:2], "pool_mode")); diff != "" {
		t.Error(diff)
	}
}

func TestCommentsAreNothing(t *testing.T) {
	for text, want := range map[string]string{
		"-- ping": "", "show/**/version": "show version", "a -- b\n; c": "a|c", "'--' /* ; */ x": "'--'   x", `"/*" y`: `"/*" y`,
		"/* a /* b */ c */ d": "d", "/* a": "", "a - - b": "a - - b", "x --": "x", "/*/ x */ y": "y",
	} {
		if got := strings.Join(splitStatements(text), "|"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
