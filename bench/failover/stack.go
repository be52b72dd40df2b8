package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/bench/program"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

const poolSize = 20 // server connections to each node, where the stack has a pool

// stack is what can stand between clients and cluster.
type stack struct {
	key, title string
	start      func(ctx context.Context, s *site) (*front, error)
}

func (s stack) name() string { return s.key }

func stacks() []stack {
	return []stack{
		{"pgrouter-etcd", "pgrouter (etcd)", func(ctx context.Context, s *site) (*front, error) { return startRouter(ctx, s, fromEtcd(s)) }},
		{"pgrouter-rest", "pgrouter (Patroni's REST)", func(ctx context.Context, s *site) (*front, error) { return startRouter(ctx, s, fromREST(s)) }},
		{"haproxy", "HAProxy", startHAProxy},
		{"haproxy-pgbouncer", "HAProxy + PgBouncer", startBouncers},
	}
}

// front is a stack that runs. Its owner calls stop.
type front struct {
	write, read string // host:port of its doors
	processes   []*program.Process
	order       func(ctx context.Context, to *testcluster.PatroniNode) error // asks it for a switchover; nil where that cannot be
	onReset     func(ctx context.Context, n *testcluster.PatroniNode) error  // starts again what stood on a machine that was reset
}

func (f *front) stop() {
	for _, p := range f.processes {
		p.Stop()
	}
}

// versions are those of the programs, each once.
func (f *front) versions() (all []string) {
	for _, p := range f.processes {
		if !slices.Contains(all, p.Version) {
			all = append(all, p.Version)
		}
	}
	return all
}

// revive starts again what stood on a machine that was reset.
func (f *front) revive(ctx context.Context, n *testcluster.PatroniNode) error {
	if f.onReset == nil {
		return nil
	}
	return f.onReset(ctx, n)
}

// launch starts one program of the stack.
func (f *front) launch(ctx context.Context, c program.Command) error {
	account, err := program.Servant()
	if err != nil {
		return err
	}
	c.Account = account
	p, err := c.Start(ctx)
	if err != nil {
		return err
	}
	f.processes = append(f.processes, p)
	return nil
}

// newFront claims the doors.
func newFront() (*front, error) {
	write, err := testcluster.FreeAddress()
	if err != nil {
		return nil, err
	}
	read, err := testcluster.FreeAddress()
	return &front{write: write, read: read}, err
}

// await waits until each door has led where it should often enough in a row: a health check is slower than a start.
func (f *front) await(ctx context.Context) error {
	const enough = 40
	in := 0
	err := until(ctx, func() bool {
		if leads(ctx, f.write, false) && leads(ctx, f.read, true) {
			in++
		} else {
			in = 0
		}
		return in >= enough
	})
	if err != nil {
		return fmt.Errorf("the stack does not serve: %w\n%s", err, f.logTails())
	}
	return nil
}

// leads reports whether a door leads to a standby, or to a primary.
func leads(ctx context.Context, address string, standby bool) bool {
	const limit = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := pgconn.Connect(ctx, dsn(address))
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close(ctx) }()
	results, err := conn.Exec(ctx, "SELECT pg_is_in_recovery()").ReadAll()
	if err != nil || len(results) != 1 || len(results[0].Rows) != 1 {
		return false
	}
	return (string(results[0].Rows[0][0]) == "t") == standby
}

func (f *front) logTails() string {
	var tails []string
	for _, p := range f.processes {
		tails = append(tails, p.LogTail())
	}
	return strings.Join(tails, "\n")
}

// file writes a configuration, readable by the account that programs run as; there is no secret in it.
func (s *site) file(folder, name, content string) (string, error) {
	path := filepath.Join(folder, name)
	return path, os.WriteFile(path, []byte(content), 0o644)
}
