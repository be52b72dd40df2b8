//go:build !race

package proxy_test

import (
	"io"
	"runtime"
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
)

// TestATransactionAllocatesNothing sends transactions through the router and counts what the whole process allocates. The
// client is a socket and two buffers.
func TestATransactionAllocatesNothing(t *testing.T) {
	without, _ := newRouter(t, func(r *router) { r.quick = true })
	limited, _ := newRouter(t, func(r *router) {
		r.quick = true
		withAllTimeouts(r)
	})
	extended := pgwire.AppendParse(nil, "", "select 1", nil)
	extended = pgwire.AppendBind(extended, "", "", nil)
	extended = pgwire.AppendDescribe(extended, pgwire.TargetPortal, "")
	extended = pgwire.AppendSync(pgwire.AppendExecute(extended, "", 0))
	prepare := pgwire.AppendSync(pgwire.AppendParse(nil, "P0_1", "select 1", nil))
	prepared := pgwire.AppendBind(nil, "", "P0_1", nil)
	prepared = pgwire.AppendDescribe(prepared, pgwire.TargetPortal, "")
	prepared = pgwire.AppendSync(pgwire.AppendExecute(prepared, "", 0))
	simple := pgwire.AppendQuery(nil, "select 1")
	for _, c := range []struct {
		name  string
		r     *router
		first []byte
		unit  []byte
	}{
		{"simple", without, simple, simple},
		{"extended", without, extended, extended},
		{"prepared", without, prepare, prepared},
		{"with time limits", limited, simple, simple},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, unit := c.r.raw(t), c.unit
			answer := make([]byte, 4096)
			roundTrip(t, p, c.first, answer, 0)
			length := roundTrip(t, p, unit, answer, 0)
			const warm, measured = 200, 2000
			for range warm {
				roundTrip(t, p, unit, answer, length)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range measured {
				roundTrip(t, p, unit, answer, length)
			}
			runtime.ReadMemStats(&after)
			if each := float64(after.Mallocs-before.Mallocs) / measured; each > 0.1 { // timers of the runtime and the test remain
				t.Errorf("%.2f allocations per transaction", each)
			}
		})
	}
}

// roundTrip sends a unit and reads its whole answer, of length bytes; with 0 it finds out how many those are.
func roundTrip(t *testing.T, p *peer, unit, answer []byte, length int) int {
	t.Helper()
	if _, err := p.conn.Write(unit); err != nil {
		t.Fatal(err)
	}
	if length > 0 {
		if _, err := io.ReadFull(p.conn, answer[:length]); err != nil {
			t.Fatal(err)
		}
		return length
	}
	for {
		kind, body := p.message()
		length += pgwire.HeaderLen + len(body)
		if kind == pgwire.KindReadyForQuery {
			return length
		}
	}
}
