package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/internal/ledger"
)

const (
	standbys  = 2
	openLimit = time.Minute      // until the router serves a write and a read, or a lease has ended
	endLimit  = 15 * time.Second // for clients to end what they are doing
	lookEvery = 20 * time.Millisecond
	opTimeout = time.Minute // longer than Patroni and the router take together, so that a client's patience decides nothing
)

// stage is a running demo.
type stage struct {
	options Options
	ground  ground
	router  Router
	load    *ledger.Load
	journal journal
	watch   nodeWatch
	names   map[string]string // node names by address
	version string
	ready   time.Duration
	begun   time.Time

	group      sync.WaitGroup // everything but the load
	cancel     context.CancelFunc
	loadGroup  sync.WaitGroup
	cancelLoad context.CancelFunc

	mu struct {
		sync.Mutex
		episodes []*episode
	}
}

// raise starts the cluster and the router. When it fails nothing is left.
func raise(ctx context.Context, options Options) (*stage, error) {
	ground, err := newGround(ctx, options)
	if err != nil {
		return nil, err
	}
	s := &stage{options: options, ground: ground, names: map[string]string{}, begun: time.Now()}
	for _, n := range ground.nodes() {
		s.names[n.Addr()] = n.Name()
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, ground.Close())
	}
	router, err := options.StartRouter(ctx, setupOf(ground))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the router: %w", err), ground.Close())
	}
	s.router = router
	if err := s.makeLoad(); err != nil {
		return nil, errors.Join(err, router.Close(), ground.Close())
	}
	return s, nil
}

const (
	subscribers    = 1000
	passwordLength = 12 // so that a DSN fits on a line
)

func (s *stage) prepare(ctx context.Context) error {
	conn, err := s.ground.primary().Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	s.version = conn.PgConn().ParameterStatus("server_version")
	if err := ledger.Prepare(ctx, conn, subscribers); err != nil {
		return err
	}
	return s.ground.settle(ctx)
}

func (s *stage) makeLoad() error {
	load, err := ledger.New(ledger.Config{
		WriteDSN: s.router.WriteDSN(), ReadDSN: s.router.ReadDSN(), Clients: s.options.Clients, Rate: s.options.Rate,
		Subscribers: subscribers, Timeout: opTimeout, Seed: uint64(s.begun.UnixNano()),
	})
	s.load = load
	return err
}

// open starts everything that moves and waits until the first write and the first lookup were answered.
func (s *stage) open(ctx context.Context) error {
	ctx2, cancel := context.WithCancel(ctx)
	s.cancel = cancel
	s.group.Go(func() { s.ground.keep(ctx2, s.options, s.journal.add) })
	s.group.Go(func() { s.collect(ctx2) })
	s.group.Go(func() { s.watch.run(ctx2, s.ground.nodes()) })

	loadCtx, cancelLoad := context.WithCancel(ctx)
	s.cancelLoad = cancelLoad
	s.loadGroup.Go(func() { s.load.Run(loadCtx) })
	wait, done := context.WithTimeoutCause(ctx, openLimit, fmt.Errorf("no write and no lookup was served within %v", openLimit))
	defer done()
	err := until(wait, func() bool {
		total := s.load.Total()
		return total.Reads.Count() > 0 && total.Writes.Count() > 0
	})
	s.load.Mark("before", false) // without the clients' logins
	return err
}

// collect reads the router's events.
func (s *stage) collect(ctx context.Context) {
	events := s.router.Events()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				return
			}
			s.journal.add(routerEntry(e, s.names))
		}
	}
}

// endLoad lets each client end its operation, or breaks it off after a while.
func (s *stage) endLoad(ctx context.Context) {
	s.load.Stop()
	ended := make(chan struct{})
	go func() { s.loadGroup.Wait(); close(ended) }()
	limit, cancel := context.WithTimeout(ctx, endLimit)
	defer cancel()
	select {
	case <-ended:
	case <-limit.Done():
		s.cancelLoad()
		<-ended
	}
}

// fall takes everything down, in the reverse order. It does what is left to do after any failure.
func (s *stage) fall() {
	s.load.Stop()
	if s.cancelLoad != nil {
		s.cancelLoad()
	}
	s.loadGroup.Wait()
	if s.cancel != nil {
		s.cancel()
	}
	s.group.Wait()
	if err := s.router.Close(); err != nil {
		fmt.Fprintf(s.options.Stdout, "closing the router: %v\n", err)
	}
	if err := s.ground.Close(); err != nil {
		fmt.Fprintf(s.options.Stdout, "removing the cluster: %v\n", err)
	}
}

// until waits for a condition, or for the end of ctx.
func until(ctx context.Context, condition func() bool) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}

// pause waits that long, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
