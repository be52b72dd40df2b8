package drill

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

const (
	lookEvery    = 10 * time.Millisecond
	lookPatience = 5 * time.Second // of one look: a node may be frozen
)

// directTable is where the eyewitness writes.
const directTable = `CREATE TABLE drill_direct (at timestamptz NOT NULL)`

// eyewitness looks at every node past the routers, and writes where it can: what it sees is what Patroni itself takes.
type eyewitness struct {
	looking sync.WaitGroup

	mu struct {
		sync.Mutex
		promoted time.Time   // when a node that was in recovery was seen out of it first
		wrote    time.Time   // when the first write was acknowledged there
		acks     []time.Time // of all writes
	}
}

// look begins to look, until ctx ends.
func (e *eyewitness) look(ctx context.Context, nodes []*testcluster.PatroniNode) {
	for _, n := range nodes {
		e.looking.Go(func() { e.follow(ctx, n) })
	}
}

// follow looks at one node.
func (e *eyewitness) follow(ctx context.Context, n *testcluster.PatroniNode) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	v := view{of: n}
	defer v.forget()
	for {
		select {
		case <-tick.C:
			e.once(ctx, &v)
		case <-ctx.Done():
			return
		}
	}
}

// view is what the eyewitness knows of a node.
type view struct {
	of       *testcluster.PatroniNode
	conn     *pgx.Conn // nil: to be opened
	standby  bool      // when it was last seen
	promoted bool      // it was seen as both
}

func (v *view) forget() {
	if v.conn != nil {
		farewell(v.conn)
		v.conn = nil
	}
}

// farewell closes a direct connection, whose server may be gone.
func farewell(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// once looks once. A node that does not answer has nothing to say.
func (e *eyewitness) once(ctx context.Context, v *view) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	if v.conn == nil {
		conn, err := v.of.Connect(ctx)
		if err != nil {
			return
		}
		v.conn = conn
	}
	var standby bool
	if err := v.conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil {
		v.forget()
		return
	}
	if v.standby && !standby {
		v.promoted = true
		e.note(func(now time.Time) { earliest(&e.mu.promoted, now) })
	}
	if v.standby = standby; standby {
		return
	}
	if _, err := v.conn.Exec(ctx, "INSERT INTO drill_direct VALUES (clock_timestamp())"); err != nil {
		v.forget()
		return
	}
	e.note(func(now time.Time) {
		e.mu.acks = append(e.mu.acks, now)
		if v.promoted {
			earliest(&e.mu.wrote, now)
		}
	})
}

// sees reports whether a direct write was acknowledged.
func (e *eyewitness) sees() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.mu.acks) > 0
}

func (e *eyewitness) note(change func(now time.Time)) {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	change(now)
}

func earliest(at *time.Time, now time.Time) {
	if at.IsZero() {
		*at = now
	}
}

// sightings are what was seen.
type sightings struct {
	promoted, wrote time.Time
	gap             ledger.Gap // the longest without a write, that ended after the drill's beginning
}

func (e *eyewitness) saw(begin time.Time) sightings {
	e.mu.Lock()
	defer e.mu.Unlock()
	return sightings{promoted: e.mu.promoted, wrote: e.mu.wrote, gap: longest(e.mu.acks, begin)}
}

// longest returns the longest stretch without an acknowledged write since begin, when all was well.
func longest(acks []time.Time, begin time.Time) ledger.Gap {
	gap, last := ledger.Gap{}, begin
	for _, at := range slices.SortedFunc(slices.Values(acks), time.Time.Compare) {
		if g := (ledger.Gap{From: last, To: at}); g.Length() > gap.Length() {
			gap = g
		}
		if at.After(last) {
			last = at
		}
	}
	return gap
}
