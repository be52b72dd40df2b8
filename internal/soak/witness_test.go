//go:build soak

package soak

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// witness watches the router from outside for what must not grow and what must not happen.
type witness struct {
	t           *testing.T
	router      *testrouter.Process
	memory      int64
	descriptors int
	peak        int64
}

const (
	memoryGrowth = 48 << 20 // what a router may keep beyond its baseline under the same load, in bytes
	spareFDs     = 20       // server connections come and go
	maxServers   = 14
)

// mustStayZero are metrics that any value but 0 of is a fault: the invariants are checked inside the router all along.
var mustStayZero = []string{
	"pgrouter_server_messages_unexpected_total", "pgrouter_pool_protocol_violations_total", "pgrouter_pool_faults_total",
}

// settle lets time pass, bounded by ctx.
func (w *witness) settle(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (w *witness) baseline() {
	w.memory, w.descriptors = w.router.Resident(), w.router.Descriptors()
	w.t.Logf("baseline: %d MB, %d descriptors", w.memory>>20, w.descriptors)
}

// look checks what must hold at any time.
func (w *witness) look() {
	m := w.router.Metrics()
	w.peak = max(w.peak, w.router.Resident())
	for _, name := range mustStayZero {
		if v, served := m[name]; !served || v != 0 {
			w.t.Errorf("%s = %v (served: %v)", name, v, served)
		}
	}
	if n := m["pgrouter_server_connections"]; n > maxServers {
		w.t.Errorf("%v server connections, the limit is %d", n, maxServers)
	}
	if log := w.router.Tail(); strings.Contains(log, "panic") {
		w.t.Errorf("the router panicked:\n%s", log)
	}
}

// end checks that nothing has stayed behind when all clients are gone.
func (w *witness) end() {
	w.router.Await("all clients are gone", time.Minute, func() bool { return w.router.Metrics()["pgrouter_clients"] == 0 })
	w.router.Await("no place in a queue is left", time.Minute, func() bool { return w.router.Metrics()["pgrouter_pool_waiting"] == 0 })
	// One that is being opened or closed may be counted in one place only.
	w.router.Await("each server connection is counted under the limit, and nothing else", time.Minute, func() bool {
		m := w.router.Metrics()
		return m["pgrouter_pool_servers"] == m["pgrouter_server_connections"]
	})
	w.look()
	m := w.router.Metrics()
	memory, descriptors := w.router.Resident(), w.router.Descriptors()
	w.t.Logf("end: %d MB (peak %d), %d descriptors, %v goroutines", memory>>20, w.peak>>20, descriptors, m["go_goroutines"])
	if memory > w.memory+memoryGrowth {
		w.t.Errorf("memory grew from %d to %d MB", w.memory>>20, memory>>20)
	}
	if descriptors > w.descriptors+spareFDs {
		w.t.Errorf("descriptors grew from %d to %d", w.descriptors, descriptors)
	}
}

// queryOf makes a Query message.
func queryOf(sql string) *pgproto3.Query { return &pgproto3.Query{String: sql} }
