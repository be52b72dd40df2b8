package system

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// TestTimeoutsOfADatabaseHoldForItsClients: three names of one database, and each has another limit.
func TestTimeoutsOfADatabaseHoldForItsClients(t *testing.T) {
	c := sharedCluster(t)
	r := testrouter.Start(t, c, testrouter.Options{More: `
[database.slow]
dbname = "app"
query_timeout = "300ms"
[database.sits]
dbname = "app"
idle_transaction_timeout = "300ms"
[database.quiet]
dbname = "app"
client_idle_timeout = "300ms"
`})
	for _, client := range []struct{ database, asks, code string }{
		{"slow", "select pg_sleep(60)", "08007"}, {"sits", "begin", "25P03"}, {"quiet", "", "57P05"},
	} {
		t.Run(client.database, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			conn, err := pgconn.Connect(ctx, c.DSN(r.Write, testcluster.AppUser, client.database))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.Background())
			_, err = query(conn, client.asks)
			if err == nil { // it is silent from here on
				err = conn.WaitForNotification(ctx)
			}
			var told *pgconn.PgError
			if !errors.As(err, &told) || told.Code != client.code || told.Severity != "FATAL" {
				t.Errorf("it is told %v, not FATAL %s", err, client.code)
			}
		})
	}
}
