package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/proxy"
)

// console is a database of the router's own: it admits boss, and answers each query when it was cancelled.
type console struct{ asked atomic.Int32 }

func (c *console) Admit(user string) *pgwire.Error {
	c.asked.Add(1)
	if user != "boss" {
		return pgwire.ErrConsoleLogin.New("", user)
	}
	return nil
}

func (c *console) Parameters() []pgwire.Param { return nil }

func (c *console) Serve(ctx context.Context, conn net.Conn, login proxy.Login) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	backend := pgproto3.NewBackend(conn, conn)
	for {
		msg, err := backend.Receive()
		if err != nil {
			return err
		}
		if _, ok := msg.(*pgproto3.Query); !ok {
			return nil
		}
		select {
		case <-login.Cancelled:
		case <-ctx.Done():
			return ctx.Err()
		}
		backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("CANCELLED")})
		backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if err := backend.Flush(); err != nil {
			return err
		}
	}
}

// consoleRouter starts a router with SCRAM for boss and guest, and no node.
func consoleRouter(t *testing.T) (*router, *console) {
	t.Helper()
	list, err := auth.ParseUserlist([]byte(`"boss" "boss-secret"`+"\n"+`"guest" "guest-secret"`+"\n"), auth.UserlistOptions{Seed: auth.NewSeed()})
	if err != nil {
		t.Fatal(err)
	}
	c := &console{}
	r := &router{t: t, policy: defaultPolicy(), loops: 1, users: list, console: c}
	return r.start(), c
}

// steps are the kinds of messages that a login sees, with the SQLSTATE of the error that ends it.
type steps struct {
	net.Conn
	kinds strings.Builder
}

func (s *steps) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	for rest := b[:n]; len(rest) > 0; { // logins are short: each read has whole messages
		f, ok, ferr := pgwire.PeekBackend(rest)
		if ferr != nil || !ok || f.Len > len(rest) {
			break
		}
		s.kinds.WriteByte(f.Kind)
		if f.Kind == 'R' && f.Len >= 9 {
			s.kinds.WriteByte('0' + rest[8])
		}
		rest = rest[f.Len:]
	}
	return n, err
}

// logIn tries to get into a database and tells what happened.
func logIn(t *testing.T, r *router, database, user, password string) (trace, code string) {
	t.Helper()
	cfg, err := pgconn.ParseConfig("host=127.0.0.1 port=1 sslmode=disable dbname=" + database + " user=" + user + " password=" + password)
	if err != nil {
		t.Fatal(err)
	}
	seen := &steps{}
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.address)
		seen.Conn = conn
		return seen, err
	}
	conn, err := pgconn.ConnectConfig(t.Context(), cfg)
	if err == nil {
		conn.Close(t.Context())
		return seen.kinds.String(), ""
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		t.Fatalf("%s as %s: %v", database, user, err)
	}
	return seen.kinds.String(), pg.Code
}

func TestTheConsoleTellsNobodyWhoItsUsersAreBeforeTheyProveThemselves(t *testing.T) {
	r, c := consoleRouter(t)
	const refused = "R:R;E" // SASL, continue, error
	for _, tc := range []struct {
		user, password, trace, code string
		asked                       int32
	}{
		{"stranger", "guess", refused, "28P01", 0},
		{"guest", "guess", refused, "28P01", 0},
		{"boss", "guess", refused, "28P01", 0},
		{"guest", "guest-secret", refused, "28000", 1},
		{"boss", "boss-secret", "R:R;R<R0KZ", "", 1},
	} {
		c.asked.Store(0)
		trace, code := logIn(t, r, "console", tc.user, tc.password)
		if trace != tc.trace || code != tc.code || c.asked.Load() != tc.asked {
			t.Errorf("%s with %s: %s %s, asked %d times; want %s %s, %d", tc.user, tc.password, trace, code, c.asked.Load(), tc.trace, tc.code, tc.asked)
		}
	}
	if trace, code := logIn(t, r, "ordinary", "stranger", "guess"); trace != refused || code != "28P01" {
		t.Errorf("an ordinary database: %s %s", trace, code)
	}
}

func TestACancelRequestReachesAConsoleThatWaits(t *testing.T) {
	r, _ := consoleRouter(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	host, port, err := net.SplitHostPort(r.address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.Connect(ctx, "host="+host+" port="+port+" sslmode=disable user=boss password=boss-secret dbname=console")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if conn.PID() == 0 {
		t.Error("the console has no cancel key")
	}
	if err := conn.CancelRequest(ctx); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	} // it does not wait: nothing is cancelled, nothing is kept for later
	var tag atomic.Value
	go func() {
		results, err := conn.Exec(ctx, "wait").ReadAll()
		if err != nil || len(results) != 1 {
			tag.Store("no answer")
			return
		}
		tag.Store(results[0].CommandTag.String())
	}()
	r.await("the console is told", func() bool {
		if err := conn.CancelRequest(ctx); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		return tag.Load() != nil
	})
	if got := tag.Load(); got != "CANCELLED" {
		t.Error(got)
	}
}

func TestUnitsAreCountedWhenTheyHaveEnded(t *testing.T) {
	r, _ := newRouter(t, nil)
	conn := r.connect(t.Context(), "")
	before := r.proxy.Totals()
	text(t, conn, "begin")
	text(t, conn, "select 1")
	if now := r.proxy.Totals(); now.WriteUnits != before.WriteUnits || now.Units != before.Units {
		t.Errorf("a transaction that is under way counts: %+v, before %+v", now, before)
	}
	text(t, conn, "commit")
	if now := r.proxy.Totals(); now.WriteUnits != before.WriteUnits+1 {
		t.Errorf("a transaction that has ended does not count: %+v, before %+v", now, before)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.await("the client has left", func() bool { return len(r.proxy.Clients()) == 0 })
	if now := r.proxy.Totals(); now.WriteUnits != before.WriteUnits+1 || now.Units != before.Units+1 {
		t.Errorf("a client that has left does not count: %+v, before %+v", now, before)
	}
}
