package testrouter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// visit is how long a stranger keeps a server.
const visit = 2 * time.Millisecond

// adminShutdown is what PostgreSQL says to who is ended by pg_terminate_backend.
const adminShutdown = "57P01"

// Crowd lets strangers use the servers of a database between any two transactions, until the test ends: each is in a block, which needs
// a server but neither a snapshot nor a lock, nearly all of the time. They leave settings of their own there, and unnamed statements. One
// whose server is ended by pg_terminate_backend, as some suites do, comes again. The url of the database has a parameter already.
func Crowd(t testing.TB, url string, strangers int) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() {
		stop()
		all.Wait()
	})
	for i := range strangers {
		address := fmt.Sprintf("%s&application_name=stranger%d&TimeZone=Asia/Kathmandu&DateStyle=German&IntervalStyle=iso_8601", url, i)
		conn, err := pgconn.Connect(ctx, address)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			if err := stay(ctx, conn, address); err != nil && ctx.Err() == nil {
				t.Errorf("a stranger: %v", err)
			}
		})
	}
}

// stay lets a stranger come and go, and come again when its server was ended.
func stay(ctx context.Context, conn *pgconn.PgConn, address string) error {
	for {
		err := comeAndGo(ctx, conn)
		conn.Close(context.Background())
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != adminShutdown {
			return err
		}
		if conn, err = pgconn.Connect(ctx, address); err != nil {
			return err
		}
	}
}

// comeAndGo makes transactions until the context ends.
func comeAndGo(ctx context.Context, conn *pgconn.PgConn) error {
	ticks := time.NewTicker(visit)
	defer ticks.Stop()
	for {
		_, err := conn.ExecParams(ctx, "BEGIN", nil, nil, nil, nil).Close()
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil
		}
		_, ended := conn.ExecParams(ctx, "COMMIT", nil, nil, nil, nil).Close()
		if err := errors.Join(err, ended); err != nil {
			return err
		}
	}
}
