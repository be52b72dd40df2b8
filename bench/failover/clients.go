package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Who uses the cluster. The rate is of each writer; a reader looks up at a fifth of it.
const (
	singles  = 8  // writers in autocommit
	callers  = 8  // writers of transactions: BEGIN, three statements, COMMIT
	readers  = 40 //
	slowness = 5
	patience = time.Minute // of a client for one operation
)

// clients are those of one event.
type clients struct {
	single, call, read *ledger.Load
	group              sync.WaitGroup
	cancel             context.CancelFunc
}

// startClients lets clients loose on a stack. Who asked for them ends them.
func startClients(ctx context.Context, f *front, rate int) (*clients, error) {
	write, read := dsn(f.write), dsn(f.read)
	all := &clients{}
	for _, one := range []struct {
		to     **ledger.Load
		config ledger.Config
	}{
		{&all.single, ledger.Config{Clients: singles, Rate: float64(singles * rate), Mix: ledger.Mix{Register: 70, Record: 30}}},
		{&all.call, ledger.Config{Clients: callers, Rate: float64(callers * rate), Mix: ledger.Mix{Call: 100}}},
		{&all.read, ledger.Config{Clients: readers, Rate: float64(readers*rate) / slowness, Mix: ledger.Mix{Lookup: 100}}},
	} {
		one.config.WriteDSN, one.config.ReadDSN, one.config.Subscribers, one.config.Timeout = write, read, subscribers, patience
		load, err := ledger.New(one.config)
		if err != nil {
			return nil, err
		}
		*one.to = load
	}
	ctx, all.cancel = context.WithCancel(ctx)
	for _, load := range all.loads() {
		all.group.Go(func() { load.Run(ctx) })
	}
	return all, nil
}

func dsn(address string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", testcluster.AppUser, address, testcluster.DefaultDatabase)
}

func (c *clients) loads() []*ledger.Load   { return []*ledger.Load{c.single, c.call, c.read} }
func (c *clients) writers() []*ledger.Load { return []*ledger.Load{c.single, c.call} }

func (c *clients) mark(name string, event bool) {
	for _, load := range c.loads() {
		load.Mark(name, event)
	}
}

// served reports whether all is well: writes come back, and nobody waits for long.
func (c *clients) served(since time.Time) bool {
	const long = time.Second
	for _, load := range c.loads() {
		if load.Live().LongestWait > long {
			return false
		}
	}
	for _, load := range c.writers() {
		if last := load.Live().LastWrite; last.Before(since) || time.Since(last) > long {
			return false
		}
	}
	return true
}

// end lets each client end what it is doing, or breaks it off.
func (c *clients) end() {
	for _, load := range c.loads() {
		load.Stop()
	}
	timer := time.AfterFunc(patience, c.cancel)
	defer timer.Stop()
	c.group.Wait()
	c.cancel()
}

// figures are a window's, of several loads together.
func figures(loads []*ledger.Load, window int) (all ledger.Figures, acks []time.Time) {
	for _, load := range loads {
		w := load.Windows()[window]
		all.Merge(&w.Figures)
		acks = append(acks, w.Acks...)
	}
	return all, acks
}

// verify compares what the writers were told with what is there.
func (c *clients) verify(ctx context.Context, n *testcluster.PatroniNode) (lost, doubled int64, err error) {
	conn, err := n.Connect(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, load := range c.loads() {
		v, err := load.Verify(ctx, conn)
		if err != nil {
			return 0, 0, err
		}
		lost, doubled = lost+v.Lost, doubled+v.Doubled
		v.Lost, v.Doubled = 0, 0
		if err := v.Err(); err != nil {
			return 0, 0, fmt.Errorf("what no stack may do: %w", err)
		}
	}
	return lost, doubled, nil
}
