package drill

import (
	"context"
	"sync"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// crew is the clients of one router, in three loads: who writes in autocommit, who writes in transactions, who reads.
type crew struct {
	loads  []*ledger.Load
	names  []string
	ending sync.WaitGroup
}

// hire makes the clients of a router that has one of so many shares of them.
func hire(s *Scene, r *testrouter.Process, shares int) *crew {
	size := s.plan.Load
	c := &crew{names: []string{"writers", "callers", "readers"}}
	write, read := s.dsn(r.Write), s.dsn(r.Read)
	for _, config := range []ledger.Config{
		{WriteDSN: write, Clients: size.Writers / shares, Rate: size.Rate, Mix: ledger.Mix{Register: 50, Record: 50}},
		{WriteDSN: write, Clients: size.Callers / shares, Rate: size.Rate, Mix: ledger.Mix{Call: 100}},
		{WriteDSN: write, ReadDSN: read, Clients: size.Readers / shares, Rate: size.Rate / readersShare, Mix: ledger.Mix{Lookup: 100}},
	} {
		config.Rate *= float64(config.Clients)
		config.Timeout, config.Subscribers = patience, subscribers
		load, err := ledger.New(config)
		s.Must(err)
		c.loads = append(c.loads, load)
	}
	return c
}

func (s *Scene) dsn(address string) string {
	return s.Cluster.DSN(address, testcluster.AppUser, testcluster.DefaultDatabase)
}

func (c *crew) start(ctx context.Context) {
	for _, l := range c.loads {
		c.ending.Go(func() { l.Run(ctx) })
	}
}

func (c *crew) mark(name string, event bool) {
	for _, l := range c.loads {
		l.Mark(name, event)
	}
}

// stop lets every client end what it is at, and waits for that.
func (c *crew) stop() {
	for _, l := range c.loads {
		l.Stop()
	}
	c.ending.Wait()
}

// steady waits until each load has had so many good answers more.
func (c *crew) steady(s *Scene, answers int) {
	s.T.Helper()
	for i, l := range c.loads {
		before := l.Total().Acknowledged
		s.Await("the "+c.names[i]+" get their answers", func() bool { return l.Total().Acknowledged >= before+int64(answers) })
	}
}

// during are the figures of the window in which it happened, of all loads together.
func (c *crew) during() ledger.Window {
	var all ledger.Window
	for _, l := range c.loads {
		for _, w := range l.Windows() {
			if w.Name == eventWindow {
				all.Merge(&w.Figures)
				all.Acks = append(all.Acks, w.Acks...)
			}
		}
	}
	return all
}
