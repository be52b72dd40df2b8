//go:build soak

package soak

import (
	"context"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// mischief is clients that behave badly: they cancel, they reset, they leave in the middle of everything. They write
// nothing that counts.
type mischief struct {
	router      *testrouter.Process
	write, read string
}

func (m *mischief) run(ctx context.Context, dice *rand.Rand) {
	tricks := []func(context.Context, *pgconn.PgConn){m.cancel, m.reset, m.halfMessage, m.abortTransaction, m.stopReading, m.pinned}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		m.one(ctx, tricks[dice.IntN(len(tricks))], dice.IntN(2) == 0)
	}
}

func (m *mischief) one(ctx context.Context, trick func(context.Context, *pgconn.PgConn), reads bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	dsn := m.write
	if reads {
		dsn = m.read
	}
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return // a failover is on
	}
	trick(ctx, conn)
	conn.Close(ctx)
}

func (m *mischief) cancel(ctx context.Context, conn *pgconn.PgConn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn.Exec(ctx, "select pg_sleep(0.2)").ReadAll()
	}()
	for range 3 {
		short, cancel := context.WithTimeout(ctx, time.Second)
		conn.CancelRequest(short)
		cancel()
	}
	<-done
}

func (m *mischief) reset(ctx context.Context, conn *pgconn.PgConn) {
	conn.Frontend().Send(queryOf("select pg_sleep(0.1), repeat('x', 100000)"))
	conn.Frontend().Flush()
	if tcp, ok := conn.Conn().(*net.TCPConn); ok {
		tcp.SetLinger(0)
		tcp.Close()
	}
}

func (m *mischief) halfMessage(_ context.Context, conn *pgconn.PgConn) {
	conn.Conn().Write([]byte{'Q', 0, 0, 1, 0, 's', 'e', 'l'})
	conn.Conn().Close()
}

func (m *mischief) abortTransaction(ctx context.Context, conn *pgconn.PgConn) {
	conn.Exec(ctx, "begin; select 1").ReadAll()
	conn.Conn().Close()
}

func (m *mischief) stopReading(ctx context.Context, conn *pgconn.PgConn) {
	conn.Frontend().Send(queryOf("select repeat('x', 1000) from generate_series(1, 20000)"))
	conn.Frontend().Flush()
	conn.Conn().SetReadDeadline(time.Now().Add(time.Second))
	conn.Conn().Read(make([]byte, 100))
	conn.Conn().Close()
}

func (m *mischief) pinned(ctx context.Context, conn *pgconn.PgConn) {
	conn.Exec(ctx, "set work_mem = '5MB'").ReadAll()
	conn.Exec(ctx, "select 1").ReadAll()
}
