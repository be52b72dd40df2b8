package proxy_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/pgwire"
)

// peer is a client that says exactly what the test wants.
type peer struct {
	t    *testing.T
	conn net.Conn
}

// raw logs a peer in.
func (r *router) raw(t *testing.T) *peer {
	t.Helper()
	p := r.dial(t)
	p.send(pgwire.AppendStartup(nil, []pgwire.Param{{Name: "user", Value: "app"}, {Name: "database", Value: "app"}}))
	for {
		kind, _ := p.message()
		if kind == pgwire.KindReadyForQuery {
			return p
		}
		if kind == pgwire.KindErrorResponse {
			t.Fatal("login refused")
		}
	}
}

func (r *router) dial(t *testing.T) *peer {
	t.Helper()
	conn, err := net.DialTimeout("tcp", r.address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, conn: conn}
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// message reads one message.
func (p *peer) message() (kind byte, body []byte) {
	p.t.Helper()
	head := make([]byte, pgwire.HeaderLen)
	if _, err := io.ReadFull(p.conn, head); err != nil {
		p.t.Fatalf("no message: %v", err)
	}
	f, _, err := pgwire.PeekFrame(head)
	if err != nil {
		p.t.Fatal(err)
	}
	body = make([]byte, f.Len-pgwire.HeaderLen)
	if _, err := io.ReadFull(p.conn, body); err != nil {
		p.t.Fatal(err)
	}
	return f.Kind, body
}

// expect reads messages of these kinds, passing over notices, parameters and row descriptions, and returns their bodies.
func (p *peer) expect(kinds string) []byte {
	p.t.Helper()
	var all []byte
	for i := 0; i < len(kinds); {
		kind, body := p.message()
		if kind == kinds[i] {
			i++
		} else if kind != pgwire.KindNoticeResponse && kind != pgwire.KindParameterStatus && kind != pgwire.KindRowDescription {
			p.t.Fatalf("got %q %q, want %q of %q", kind, body, kinds[i], kinds)
		}
		all = append(all, body...)
	}
	return all
}

// code returns the SQLSTATE of an error, "" when it has none.
func code(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// count returns how many clients are in a state.
func (r *router) count(state string) int {
	n := 0
	for _, info := range r.proxy.Clients() {
		if info.Kind == "client" && info.State == state {
			n++
		}
	}
	return n
}

// await waits until a condition holds, and fails when it does not in time.
func (r *router) await(what string, is func() bool) {
	r.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			r.t.Fatalf("it did not come to pass that %s: %+v", what, r.proxy.Clients())
		}
	}
}
