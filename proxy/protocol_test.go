package proxy_test

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
)

// TestClientsGetTheProtocolThatTheyAskFor: the key is as long as PostgreSQL 18 makes it, whatever the server behind speaks, and with it,
// and with nothing less, the client's own query is cancelled.
func TestClientsGetTheProtocolThatTheyAskFor(t *testing.T) {
	r, _ := newRouter(t, nil)
	for _, tt := range []struct {
		name       string
		minor      uint16
		option     string
		negotiated string // minor version and number of options, as NegotiateProtocolVersion tells them; "" = it does not come
		key        int
	}{
		{"3.0", 0, "", "", 4},
		{"3.1", 1, "", "", 4},
		{"3.2", 2, "", "", 32},
		{"3.9999", 9999, "", "\x00\x03\x00\x02\x00\x00\x00\x00", 32},
		{"3.0 with an option", 0, "_pq_.x", "\x00\x03\x00\x00\x00\x00\x00\x01_pq_.x\x00", 4},
		{"3.1 with an option", 1, "_pq_.x", "\x00\x03\x00\x01\x00\x00\x00\x01_pq_.x\x00", 4},
		{"libpq's grease", 9999, "_pq_.test_protocol_negotiation", "\x00\x03\x00\x02\x00\x00\x00\x01_pq_.test_protocol_negotiation\x00", 32},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := r.dial(t)
			params := []pgwire.Param{{Name: "user", Value: "app"}, {Name: "database", Value: "app"}}
			if tt.option != "" {
				params = append(params, pgwire.Param{Name: tt.option, Value: "1"})
			}
			p.send(pgwire.AppendStartupVersion(nil, pgwire.ProtocolMajor, tt.minor, params))
			if tt.negotiated != "" {
				if kind, body := p.message(); kind != pgwire.KindNegotiate || string(body) != tt.negotiated {
					t.Errorf("the first message is %q %q", kind, body)
				}
			}
			p.expect("R")
			key := p.expectOnly(pgwire.KindBackendKeyData)
			p.expect("Z")
			if len(key) != 4+tt.key {
				t.Fatalf("a key of %d bytes", len(key)-4)
			}
			pid, secret := binary.BigEndian.Uint32(key), key[4:]
			p.send(pgwire.AppendQuery(nil, "do $$ begin raise notice 'I run'; perform pg_sleep(3600); end $$"))
			p.expectOnly(pgwire.KindNoticeResponse) // a cancel request that is there before it runs is forgotten
			if tt.key > 4 {
				r.cancels(t, pid, secret[:4])
				r.cancels(t, pid, append([]byte{secret[0] + 1}, secret[1:]...))
			}
			r.cancels(t, pid, secret)
			if got := string(p.expect("EZ")); !strings.Contains(got, "C57014\x00") {
				t.Errorf("the query ends with %q", got)
			}
			p.send(pgwire.AppendTerminate(nil))
			r.await("the client has left", func() bool { return r.count("active")+r.count("idle") == 0 })
		})
	}
}

// expectOnly passes over parameters and notices to a message of that kind, and returns its body.
func (p *peer) expectOnly(wanted byte) []byte {
	p.t.Helper()
	for {
		kind, body := p.message()
		switch kind {
		case wanted:
			return body
		case pgwire.KindParameterStatus, pgwire.KindNoticeResponse:
		default:
			p.t.Fatalf("got %q %q, want %q", kind, body, wanted)
		}
	}
}

// cancels sends a cancel request and waits for the end of its connection, on which nothing may be said.
func (r *router) cancels(t *testing.T, pid uint32, secret []byte) {
	t.Helper()
	p := r.dial(t)
	p.send(pgwire.AppendCancelRequest(nil, pid, secret))
	if said, err := io.ReadAll(p.conn); err != nil || len(said) > 0 {
		t.Errorf("a cancel request is answered with %q, %v", said, err)
	}
	p.conn.Close()
}
