package demo

import (
	"context"
	"errors"
	"net/url"
	"os/exec"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// fakeRouter stands in for the router: two proxies that are turned to where the primary and a standby are. It holds
// nobody, so that clients see lost connections, but it lies to nobody either.
type fakeRouter struct {
	setup  Setup
	write  *wiretest.Proxy
	read   *wiretest.Proxy
	events chan event.Event
	cancel context.CancelFunc
	group  sync.WaitGroup
}

func startFake(_ context.Context, setup Setup) (Router, error) {
	write, err := wiretest.NewProxy(setup.Nodes[0])
	if err != nil {
		return nil, err
	}
	read, err := wiretest.NewProxy(setup.Nodes[1])
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	const room = 100
	ctx, cancel := context.WithCancel(context.Background())
	f := &fakeRouter{setup: setup, write: write, read: read, events: make(chan event.Event, room), cancel: cancel}
	f.group.Go(func() { f.probe(ctx) })
	return f, nil
}

func (f *fakeRouter) dsn(addr, user, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: addr, Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

func (f *fakeRouter) WriteDSN() string {
	return f.dsn(f.write.Addr(), f.setup.AppUser, f.setup.AppPassword, f.setup.Database)
}

func (f *fakeRouter) ReadDSN() string {
	return f.dsn(f.read.Addr(), f.setup.AppUser, f.setup.AppPassword, f.setup.Database)
}

func (f *fakeRouter) AdminURL() string           { return "http://127.0.0.1:7000" }
func (f *fakeRouter) Events() <-chan event.Event { return f.events }
func (f *fakeRouter) tell(k event.Kind, to string) {
	f.events <- event.Event{Time: time.Now(), Kind: k, To: to}
}

// probe asks all nodes in turn who is the primary.
func (f *fakeRouter) probe(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	primary := f.setup.Nodes[0]
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		found, standby := f.roles(ctx)
		if found == "" && primary != "" {
			f.tell(event.PrimaryLost, "")
		}
		if found != "" && found != primary {
			f.tell(event.PrimaryChanged, found)
			f.write.SetTarget(found)
		}
		if standby != "" {
			f.read.SetTarget(standby)
		}
		primary = found
	}
}

func (f *fakeRouter) roles(ctx context.Context) (primary, standby string) {
	for _, addr := range f.setup.Nodes {
		conn, err := f.connect(ctx, addr)
		if err != nil {
			continue
		}
		var recovering bool
		if err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&recovering); err == nil && recovering {
			standby = addr
		} else if err == nil {
			primary = addr
		}
		_ = conn.Close(ctx)
	}
	return primary, standby
}

func (f *fakeRouter) connect(ctx context.Context, addr string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, f.dsn(addr, f.setup.ProbeUser, f.setup.ProbePassword, "postgres"))
}

func (f *fakeRouter) Switchover(ctx context.Context, to string) error {
	f.tell(event.SwitchoverStarted, to)
	from, _ := f.roles(ctx)
	if err := exec.CommandContext(ctx, "/bin/sh", "-c", f.setup.StopCommands[from]).Run(); err != nil {
		return err
	}
	conn, err := f.connect(ctx, to)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "SELECT pg_promote()")
	return err
}

func (f *fakeRouter) Close() error {
	f.cancel()
	f.group.Wait()
	return errors.Join(f.write.Close(), f.read.Close())
}
