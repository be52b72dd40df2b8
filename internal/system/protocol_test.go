package system

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// TestProtocol32WithItsLongCancelKey: a client that asks for the newest protocol gets it, and a key of 32 bytes with which it cancels its
// own query, whichever protocol the servers speak. With PostgreSQL 18 the router's own logins have long keys, too.
func TestProtocol32WithItsLongCancelKey(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Start(t, c, testrouter.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, address := range []string{r.Write, r.Read} {
		config, err := pgconn.ParseConfig(c.DSN(address, testcluster.AppUser, testcluster.DefaultDatabase))
		if err != nil {
			t.Fatal(err)
		}
		config.MinProtocolVersion, config.MaxProtocolVersion = "3.2", "3.2"
		runs := make(chan struct{})
		config.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) { runs <- struct{}{} }
		conn, err := pgconn.ConnectConfig(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		if n := len(conn.SecretKey()); n != 32 {
			t.Errorf("a cancel key of %d bytes", n)
		}
		done := make(chan error, 1)
		go func() {
			_, err := query(conn, "do $$ begin raise notice 'I run'; perform pg_sleep(80); end $$")
			done <- err
		}()
		<-runs // a cancel request that is there earlier is forgotten
		if err := conn.CancelRequest(ctx); err != nil {
			t.Error(err)
		}
		if err := <-done; code(err) != "57014" {
			t.Errorf("the query ended with %v", err)
		}
		if got, err := query(conn, "select 2"); got != "2" || err != nil {
			t.Errorf("the next query: %q, %v", got, err)
		}
	}
}
