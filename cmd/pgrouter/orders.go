package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// orders is what an operator may do (admin.Actions).
type orders struct{ router *router }

// meant tells the databases that an operator means: all for "".
func meant(database string) func(name string) bool {
	return func(name string) bool { return database == "" || name == database }
}

// Pause holds a database, or all of them.
func (o *orders) Pause(database string, limit time.Duration) admin.Pause {
	if limit == 0 {
		limit = o.router.inForce.Load().Admin.PauseLimit
	}
	return o.router.pool.Pause(database, limit)
}

// Resume ends pauses.
func (o *orders) Resume(database string) bool {
	return o.router.pool.Unpause(database)
}

// Kill pauses a database first, so that nobody whom it closes comes back to a server.
func (o *orders) Kill(ctx context.Context, database string, limit time.Duration) error {
	p := o.Pause(database, limit)
	n := o.router.proxy.Kill(meant(database))
	e := event.OfDatabase(event.DatabaseKilled, database)
	e.Count = n
	o.router.events.Emit(e)
	return p.Wait(ctx)
}

// KillClient closes one client.
func (o *orders) KillClient(id uint64) bool { return o.router.proxy.KillClient(id) }

// Disable lets no new client in.
func (o *orders) Disable(database string) bool { return o.router.proxy.Disable(database) }

// Enable lets new clients in again.
func (o *orders) Enable(database string) bool { return o.router.proxy.Enable(database) }

// Reconnect lets server connections be opened anew.
func (o *orders) Reconnect(database string) {
	o.router.pool.Reconnect(database)
}

// WaitClose waits until the old ones are closed.
func (o *orders) WaitClose(ctx context.Context, database string) error {
	return o.router.pool.WaitClose(ctx, database)
}

// Shutdown begins to end the router.
func (o *orders) Shutdown(how admin.Ending) {
	select {
	case o.router.endings <- how:
	default: // it has been asked so often that it ends
	}
}

// Reload reads the configuration again and puts it in force. Who asked may leave: half of it is never done.
func (o *orders) Reload(context.Context) (applied, pending []string, err error) {
	return o.router.reload()
}

// Set changes one setting.
func (o *orders) Set(_ context.Context, s admin.SettingOrder) (applied []string, err error) {
	return o.router.set(s)
}

// AcceptCluster moves a cluster's floor.
func (o *orders) AcceptCluster(ctx context.Context, cluster string, a topology.Acceptance) error {
	c := o.router.cluster(topology.ClusterID(cluster))
	if c == nil {
		return fmt.Errorf("no cluster %q", cluster)
	}
	return c.manager.Accept(ctx, a)
}
