package pool

import (
	"testing"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/pgwire"
)

func speeches() [][]byte {
	notice := pgwire.AppendNotice(nil, &pgwire.Error{Severity: "NOTICE", Code: "00000", Message: "m"})
	fatal := pgwire.AppendError(nil, &pgwire.Error{Severity: "FATAL", Code: pgwire.CodeAdminShutdown, Message: "m"})
	param := pgwire.AppendParameterStatus(nil, "TimeZone", "UTC")
	return [][]byte{
		{}, notice, fatal, param, notice[:7], fatal[:6], resetAnswer(), append(append([]byte(nil), param...), resetAnswer()...),
		append(append([]byte(nil), notice...), fatal...), []byte("HTTP/1.1 400"), {'Z', 0, 0, 0, 5, 'E'}, {'E', 0xff, 0xff, 0xff, 0xff},
	}
}

// FuzzOverhear: whatever an idle server says, only whole notices let it live.
func FuzzOverhear(f *testing.F) {
	for _, b := range speeches() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := overhear(b)
		if r == remarkFatal && err == nil {
			t.Fatal("last words without a cause")
		}
		if r != remarkNothing {
			return
		}
		for len(b) > 0 {
			frame, ok, err := pgwire.PeekBackend(b)
			if !ok || err != nil || frame.Kind != pgwire.KindNoticeResponse || frame.Len > len(b) {
				t.Fatalf("let live after %q", b)
			}
			b = b[frame.Len:]
		}
	})
}

// FuzzReset: what a reset's answer means does not depend on the pieces it comes in, and it is kept only to its limit. Behind
// the answer the server is idle: there a piece that ends inside a message is doubt, and doubt closes.
func FuzzReset(f *testing.F) {
	for i, b := range speeches() {
		f.Add(b, i)
	}
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		if at < 0 || at > len(b) {
			at = len(b) / 2
		}
		whole, parts := resetBy(t, b), resetBy(t, b[:at], b[at:])
		doubt := idleCutInside(b[:at])
		if doubt && parts.state != stateClosed {
			t.Fatalf("a piece that ends inside an idle server's message left it %s", parts.state)
		}
		if !doubt && (whole.state != parts.state || whole.retiring.Load() != parts.retiring.Load()) {
			t.Fatalf("in one piece %s, in two %s", whole.state, parts.state)
		}
		if len(parts.answer) > maxResetAnswer {
			t.Fatalf("%d bytes kept", len(parts.answer))
		}
	})
}

// idleCutInside reports whether b ends inside a message that came after the ReadyForQuery which ends a reset.
func idleCutInside(b []byte) bool {
	for ready := false; len(b) > 0; {
		f, ok, err := pgwire.PeekBackend(b)
		if err != nil {
			return false
		}
		if !ok || f.Len > len(b) {
			return ready
		}
		ready = ready || f.Kind == pgwire.KindReadyForQuery
		b = b[f.Len:]
	}
	return false
}

// resetBy gives a server that is being reset these pieces of an answer.
func resetBy(t *testing.T, pieces ...[]byte) *Server {
	t.Helper()
	w := newWorld(t, 0, 1, Defaults())
	w.publish(w.picture("a", 1, 1))
	c := w.newClient(0)
	c.acquire()
	w.dialAll()
	s := c.server
	s.Conn = &backend.Conn{Target: s.Conn.Target, Params: []pgwire.Param{{Name: "TimeZone", Value: "UTC"}}}
	c.release(Dirty)
	x := w.wireByServer(s)
	for _, b := range pieces {
		if len(b) > 0 {
			w.say(x, b)
		}
	}
	return s
}
