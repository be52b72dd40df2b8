package proxy_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/topology"
)

// walsender asks to be let in as a client of replication.
func (r *router) walsender(t *testing.T, kind string) *peer {
	t.Helper()
	p := r.dial(t)
	p.send(pgwire.AppendStartup(nil, []pgwire.Param{{Name: "user", Value: "app"}, {Name: "database", Value: "app"}, {Name: "replication", Value: kind}}))
	for {
		switch kind, body := p.message(); kind {
		case pgwire.KindReadyForQuery:
			return p
		case pgwire.KindErrorResponse:
			t.Fatalf("login refused: %q", body)
		}
	}
}

// hangsUp waits for the end, and closes.
func (p *peer) hangsUp() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.conn); err != nil || len(rest) > 0 {
		p.t.Errorf("before the end: %q, %v", rest, err)
	}
	p.conn.Close()
}

// position asks how far the server has written.
func (p *peer) position() string {
	p.t.Helper()
	p.send(pgwire.AppendQuery(nil, "IDENTIFY_SYSTEM"))
	p.expectOnly(pgwire.KindRowDescription)
	row, err := pgwire.ParseDataRow(nil, p.expectOnly(pgwire.KindDataRow))
	if err != nil || len(row) < 3 {
		p.t.Fatalf("%q, %v", row, err)
	}
	p.expect("CZ")
	return string(row[2])
}

// streams begins a stream.
func (p *peer) streams() {
	p.t.Helper()
	p.send(pgwire.AppendQuery(nil, "START_REPLICATION "+p.position()+" TIMELINE 1"))
	p.expectOnly(pgwire.KindCopyBothResponse)
}

// TestReplicationLeavesNothingBehind: sessions that end in all the ways in which they can, while others come, leave no goroutine, no
// descriptor and no key, and none of them ever is in a pool.
func TestReplicationLeavesNothingBehind(t *testing.T) {
	r, c := ownRouter(t, testcluster.Options{Standbys: 1, Roles: []testcluster.Role{{Name: testcluster.AppUser, Options: "REPLICATION"}}},
		func(r *router) { withReplication(r) })
	before := r.atRest()
	ends := map[string]func(*peer){
		"Terminate": func(p *peer) {
			p.send(pgwire.AppendTerminate(nil))
			p.hangsUp()
		},
		"no word": func(p *peer) { p.conn.Close() },
		"reset": func(p *peer) {
			_ = p.conn.(*net.TCPConn).SetLinger(0)
			p.conn.Close()
		},
		"in a message": func(p *peer) {
			p.send(pgwire.AppendQuery(nil, "IDENTIFY_SYSTEM")[:9])
			p.conn.Close()
		},
		"half": func(p *peer) {
			_ = p.conn.(*net.TCPConn).CloseWrite()
			p.hangsUp()
		},
		"in a backup": func(p *peer) {
			p.send(pgwire.AppendQuery(nil, "BASE_BACKUP (CHECKPOINT 'fast')"))
			p.expectOnly('T')
			p.conn.Close()
		},
		"while it streams": func(p *peer) {
			p.streams()
			p.conn.Close()
		},
	}
	for range 3 {
		for name, end := range ends {
			p := r.walsender(t, "true")
			p.position()
			if servers := r.pool.Servers(); len(servers) != 1 {
				t.Errorf("%s: pools have %d server connections", name, len(servers))
			}
			end(p)
		}
	}
	r.await("there is no more than before", func() bool { return r.leavings().within(before) })

	streams := r.walsender(t, "true")
	streams.streams()
	r.publish(c, c.Standbys()[0])
	for kind, body := streams.message(); kind != pgwire.KindErrorResponse; kind, body = streams.message() {
		if kind != pgwire.KindCopyData {
			t.Errorf("%q %q in the stream", kind, body)
		}
	}
	streams.conn.Close()
	r.publish(c, c.Primary())
	again := r.raw(t)
	again.send(pgwire.AppendQuery(nil, "select 1"))
	again.expect("DCZ")
	again.conn.Close()
	r.await("there is no more than before", func() bool { return r.leavings().within(before) })
}

// TestASlowReplicationClientStopsItsServer: of what a client does not read the router holds no more than a piece in each direction. When
// it reads again it gets everything, in order.
func TestASlowReplicationClientStopsItsServer(t *testing.T) {
	const more, stall = 1 << 30, time.Second
	type result struct {
		sent int64
		err  error
	}
	stopped := make(chan result, 1)
	address := serverOf(t, func(conn net.Conn) {
		answerLogin(conn)
		piece := pattern(1 << 16)
		var all int64
		for all < more {
			_ = conn.SetWriteDeadline(time.Now().Add(stall))
			n, err := conn.Write(piece)
			if all += int64(n); err != nil {
				stopped <- result{all, err}
				_ = conn.SetWriteDeadline(time.Time{})
				_, _ = conn.Write(piece[n:])
				return
			}
		}
		stopped <- result{all, nil}
	})
	r := &router{t: t, policy: defaultPolicy(), loops: 1}
	withReplication(r)
	r.start()
	r.show("n", topology.Node{ID: "n", Address: address})
	p := r.walsender(t, "true")
	got := <-stopped
	if !errors.Is(got.err, os.ErrDeadlineExceeded) {
		t.Fatalf("the server got rid of %d bytes: %v", got.sent, got.err)
	}
	piece := pattern(1 << 16)
	whole := (got.sent + int64(len(piece)) - 1) / int64(len(piece)) * int64(len(piece))
	buf := make([]byte, len(piece))
	for read := int64(0); read < whole; read += int64(len(piece)) {
		if _, err := io.ReadFull(p.conn, buf); err != nil {
			t.Fatalf("after %d of %d bytes: %v", read, whole, err)
		}
		if string(buf) != string(piece) {
			t.Fatalf("the bytes behind %d are others", read)
		}
	}
}

// pattern is one CopyData message of n bytes.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	b[0], b[1], b[2], b[3], b[4] = pgwire.KindCopyData, 0, byte((n-1)>>16), byte((n-1)>>8), byte(n-1)
	return b
}

// serverOf accepts one connection and plays f on it.
func serverOf(t *testing.T, f func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		f(conn)
	}()
	t.Cleanup(func() {
		l.Close()
		<-over
	})
	return l.Addr().String()
}

// answerLogin lets in whoever it is.
func answerLogin(conn net.Conn) {
	var machine pgwire.Startup
	b := make([]byte, 1024)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		if _, ev, _ := machine.Feed(b[:n]); ev.Kind == pgwire.EventMessage {
			break
		}
	}
	says := pgwire.AppendParameterStatus(pgwire.AppendAuthOk(nil), "in_hot_standby", "off")
	_, _ = conn.Write(pgwire.AppendReadyForQuery(says, pgwire.StatusIdle))
}
