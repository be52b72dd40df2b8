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

// stay is how long a stranger keeps a server.
const stay = 2 * time.Millisecond

// Crowd lets strangers use the servers of a database between any two transactions, until the test ends: each is in a block, which needs
// a server but neither a snapshot nor a lock, nearly all of the time. They leave settings of their own there, and unnamed statements.
// The url of the database has a parameter already.
func Crowd(t testing.TB, url string, strangers int) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() {
		stop()
		all.Wait()
	})
	for i := range strangers {
		conn, err := pgconn.Connect(ctx, fmt.Sprintf(
			"%s&application_name=stranger%d&TimeZone=Asia/Kathmandu&DateStyle=German&IntervalStyle=iso_8601", url, i))
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer conn.Close(context.Background())
			if err := comeAndGo(ctx, conn); err != nil && ctx.Err() == nil {
				t.Errorf("a stranger: %v", err)
			}
		})
	}
}

// comeAndGo makes transactions until the context ends.
func comeAndGo(ctx context.Context, conn *pgconn.PgConn) error {
	ticks := time.NewTicker(stay)
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
