package backend

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/pgwire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testLimit bounds what should not take long; it is never waited for when all is well.
const testLimit = time.Minute

// peer is a test's server: it accepts one connection at a time and plays f on it. It ends with the test.
func peer(tb testing.TB, f func(c net.Conn)) (address string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(testLimit))
			f(c)
			_ = c.Close()
		}
	}()
	tb.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

// readStartup reads the client's start-up packet.
func readStartup(c net.Conn) (*pgwire.StartupMessage, error) {
	var s pgwire.Startup
	b := make([]byte, 1)
	for {
		if _, err := c.Read(b); err != nil {
			return nil, err
		}
		_, event, err := s.Feed(b)
		if err != nil {
			return nil, err
		}
		if event.Kind == pgwire.EventMessage {
			return &event.Message, nil
		}
	}
}

// untilClosed reads until the client is gone.
func untilClosed(c net.Conn) {
	b := make([]byte, 1024)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// script returns a peer that sends these bytes after the start-up packet and waits until the client goes away.
func script(tb testing.TB, sends []byte) (address string) {
	tb.Helper()
	return peer(tb, func(c net.Conn) {
		if _, err := readStartup(c); err != nil {
			return
		}
		_, _ = c.Write(sends)
		untilClosed(c)
	})
}

func testConfig() Config { return Config{ConnectTimeout: testLimit, LoginTimeout: testLimit} }

func login(user, password string) Login {
	return Login{User: user, Database: "app", Secret: auth.PlainSecret(password)}
}

// dial opens a connection that is closed with the test.
func dial(tb testing.TB, target Target, l Login) (*Conn, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	defer cancel()
	c, err := Dial(ctx, testConfig(), target, l)
	if err == nil {
		tb.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// wantDialError returns err as what it must be.
func wantDialError(tb testing.TB, err error, op Op, temporary bool) *DialError {
	tb.Helper()
	var e *DialError
	var f Failure
	if !errors.As(err, &e) || !errors.As(err, &f) {
		tb.Fatalf("error %v is no DialError", err)
	}
	if e.Op != op || e.Temporary() != temporary {
		tb.Errorf("%v: operation %s, temporary %v; want %s, %v", err, e.Op, e.Temporary(), op, temporary)
	}
	return e
}

// greeting is what a server says from AuthenticationOk to ReadyForQuery.
func greeting(params ...string) []byte {
	b := pgwire.AppendAuthOk(nil)
	for i := 0; i < len(params); i += 2 {
		b = pgwire.AppendParameterStatus(b, params[i], params[i+1])
	}
	b = pgwire.AppendBackendKeyData(b, 4711, []byte{1, 2, 3, 4})
	return pgwire.AppendReadyForQuery(b, pgwire.StatusIdle)
}

// query runs a simple query on a fresh connection and returns the first column of its rows, or the server's error.
func query(tb testing.TB, c *Conn, sql string) ([]string, error) {
	tb.Helper()
	if err := c.Socket.SetDeadline(time.Now().Add(testLimit)); err != nil {
		tb.Fatal(err)
	}
	if _, err := c.Socket.Write(pgwire.AppendQuery(nil, sql)); err != nil {
		tb.Fatal(err)
	}
	return results(tb, c)
}

func results(tb testing.TB, c *Conn) (rows []string, failed error) {
	tb.Helper()
	in := reader{src: c.Socket, begun: true}
	for {
		kind, body, err := in.message()
		if err != nil {
			tb.Fatal(err)
		}
		switch kind {
		case pgwire.KindDataRow:
			values, err := pgwire.ParseDataRow(nil, body)
			if err != nil {
				tb.Fatal(err)
			}
			rows = append(rows, string(values[0]))
		case pgwire.KindErrorResponse:
			if failed, err = pgwire.ParseError(body); err != nil {
				tb.Fatal(err)
			}
		case pgwire.KindReadyForQuery:
			return rows, failed
		}
	}
}
