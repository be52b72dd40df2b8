package system

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/lib/pq"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// TestPgbenchPreparesOnSharedServers runs a hundred clients that prepare every statement on twenty servers.
func TestPgbenchPreparesOnSharedServers(t *testing.T) {
	c := sharedCluster(t)
	r := testrouter.Start(t, c, testrouter.Options{Size: 20})
	bench := pgbench{
		program: filepath.Join(c.Binaries(), "pgbench"), dsn: c.DSN(r.Write, testcluster.AppUser, testcluster.DefaultDatabase),
		database: testcluster.DefaultDatabase, clients: 100, args: "-S -M prepared",
	}
	bench.initialize(t)
	const transactions = 50
	if err := bench.pass(t.Context(), transactions); err != nil {
		t.Fatal(err)
	}
}

// preparing is a client of a driver that prepares each text once, and uses it often.
type preparing struct {
	query func(ctx context.Context, text string, number int) (int, error)
	exec  func(ctx context.Context, text string) error
}

// work uses a few statements, some of them its own and some everybody's, and drops one now and then.
func (p preparing) work(t *testing.T, client int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range 60 {
		text, add := "select $1::int + 1", 1
		if i%3 == 0 {
			text, add = fmt.Sprintf("select $1::int + %d", 100+client), 100+client
		}
		got, err := p.query(ctx, text, i)
		if err != nil || got != i+add {
			t.Errorf("client %d: %q with %d gives %d, %v", client, text, i, got, err)
			return
		}
		if p.exec != nil && i%20 == 19 {
			if err := p.exec(ctx, "select 1"); err != nil {
				t.Errorf("client %d: %v", client, err)
				return
			}
		}
	}
}

// TestDriversPrepareOnSharedServers lets ten clients of pgx, which prepares whatever it is asked, and of lib/pq work on two servers that
// keep three statements each.
func TestDriversPrepareOnSharedServers(t *testing.T) {
	c := sharedCluster(t)
	r := testrouter.Start(t, c, testrouter.Options{Loops: 2, Size: 2, Pool: "max_prepared_statements = 3"})
	dsn := c.DSN(r.Write, testcluster.AppUser, testcluster.DefaultDatabase)
	t.Run("pgx", func(t *testing.T) {
		inTens(t, func(client int) { pgxClient(t, dsn).work(t, client) })
	})
	t.Run("lib/pq", func(t *testing.T) {
		inTens(t, func(client int) { pqClient(t, dsn).work(t, client) })
	})
	if n := psql(t, c, r.Write, "select count(*) <= 3 from pg_prepared_statements"); n != "t" {
		t.Error("a server keeps more than three statements")
	}
}

// inTens lets ten clients do something at the same time.
func inTens(t *testing.T, do func(client int)) {
	t.Helper()
	var all sync.WaitGroup
	for client := range 10 {
		all.Go(func() { do(client) })
	}
	all.Wait()
}

func pgxClient(t *testing.T, dsn string) preparing {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Error(err)
		return preparing{}
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return preparing{
		query: func(ctx context.Context, text string, number int) (got int, err error) {
			err = conn.QueryRow(ctx, text, number).Scan(&got)
			return got, err
		},
		exec: func(ctx context.Context, text string) error { _, err := conn.Exec(ctx, text); return err },
	}
}

func pqClient(t *testing.T, dsn string) preparing {
	t.Helper()
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		t.Error(err)
		return preparing{}
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	statements := make(map[string]*sql.Stmt)
	return preparing{query: func(ctx context.Context, text string, number int) (got int, err error) {
		if statements[text] == nil {
			if statements[text], err = db.PrepareContext(ctx, text); err != nil {
				return 0, err
			}
		}
		err = statements[text].QueryRowContext(ctx, number).Scan(&got)
		if number%10 == 9 { // the driver closes it
			err = errors.Join(err, statements[text].Close())
			delete(statements, text)
		}
		return got, err
	}}
}
