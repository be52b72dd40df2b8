package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

const (
	watchTable   = `CREATE TABLE IF NOT EXISTS pgrouter_watch (at timestamptz NOT NULL DEFAULT clock_timestamp())`
	watchEvery   = 10 * time.Millisecond
	watchLimit   = 2 * time.Second // for one look at a node: a frozen one does not answer
	watchFarwell = time.Second
)

// watch writes directly on whichever node takes writes: what no router can do better.
type watch struct {
	mu struct {
		sync.Mutex
		acks []time.Time
	}
}

// run watches all nodes until ctx ends.
func (w *watch) run(ctx context.Context, c *testcluster.PatroniCluster) {
	var group sync.WaitGroup
	for _, n := range c.Nodes() {
		group.Go(func() { w.node(ctx, n) })
	}
	group.Wait()
}

func (w *watch) node(ctx context.Context, n *testcluster.PatroniNode) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var conn *pgx.Conn
	for ctx.Err() == nil {
		conn = w.look(ctx, n, conn)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	drop(conn)
}

// look writes on a node if it takes writes. It returns the connection for the next look, nil when it is lost.
func (w *watch) look(ctx context.Context, n *testcluster.PatroniNode, conn *pgx.Conn) *pgx.Conn {
	ctx, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	if conn == nil {
		fresh, err := n.Connect(ctx)
		if err != nil {
			return nil
		}
		conn = fresh
	}
	var recovering bool
	err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&recovering)
	if err == nil && !recovering {
		_, err = conn.Exec(ctx, "INSERT INTO pgrouter_watch DEFAULT VALUES")
		w.acked(err)
	}
	if err != nil {
		drop(conn)
		return nil
	}
	return conn
}

func (w *watch) acked(err error) {
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.acks = append(w.mu.acks, time.Now())
}

// gap returns the longest stretch without a write from a moment on.
func (w *watch) gap(since time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return longest(since, w.mu.acks)
}

// longest returns the longest stretch between two of the times from a moment on, which begins the first.
func longest(since time.Time, acks []time.Time) (most time.Duration) {
	last := since
	for _, at := range slices.SortedFunc(slices.Values(acks), time.Time.Compare) {
		if at.Before(since) {
			continue
		}
		most = max(most, at.Sub(last))
		last = at
	}
	return most
}

func drop(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), watchFarwell)
	defer cancel()
	_ = conn.Close(ctx)
}
