package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/admin/client"
	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/topology"
)

// startPeers lets the other routers be known. Nobody is asked yet.
func (r *router) startPeers(context.Context) error {
	cfg := &r.inForce.Load().Admin
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	r.peers = client.NewPeers(name+" "+cfg.HTTP, cfg.Peers, r.events)
	return nil
}

// conductor finds the conductor of a cluster.
func (o *orders) conductor(cluster string) (*failover.Conductor, error) {
	c := o.router.cluster(topology.ClusterID(cluster))
	if c == nil {
		return nil, fmt.Errorf("%w: no cluster %q", failover.ErrRefused, cluster)
	}
	return c.conductor, nil
}

// Hold holds a primary here and, unless that is somebody else's task, at the peers, at the same time.
func (o *orders) Hold(ctx context.Context, order admin.HoldOrder) (held admin.Held, err error) {
	c, err := o.conductor(order.Cluster)
	if err != nil {
		return held, err
	}
	if order.Local {
		held.Held, err = c.Hold(ctx, order.HoldOrder)
		return held, err
	}
	asking, giveUp := context.WithCancel(ctx)
	defer giveUp()
	var asked sync.WaitGroup
	asked.Go(func() { held.Peers = o.router.peers.Hold(asking, c.Cluster(), order.HoldOrder) })
	here, err := c.Hold(ctx, order.HoldOrder)
	if err != nil { // what is not held here need not be there
		giveUp()
		asked.Wait()
		o.router.peers.Release(ctx, c.Cluster(), order.ID)
		return held, err
	}
	asked.Wait()
	held.Held = here
	return held, nil
}

// Release ends holds, here and at the peers.
func (o *orders) Release(ctx context.Context, order admin.ReleaseOrder) (ended int, err error) {
	if order.Cluster == "" {
		for _, run := range *o.router.clusters.Load() {
			ended += run.conductor.Release(order.ID)
		}
	} else {
		c, err := o.conductor(order.Cluster)
		if err != nil {
			return 0, err
		}
		ended = c.Release(order.ID)
	}
	if !order.Local {
		o.router.peers.Release(ctx, topology.ClusterID(order.Cluster), order.ID)
	}
	return ended, nil
}

// Switchover moves the primary of a cluster. The conductor asks the peers itself.
func (o *orders) Switchover(ctx context.Context, cluster, to string, within time.Duration) error {
	c, err := o.conductor(cluster)
	if err != nil {
		return err
	}
	return c.Switchover(ctx, topology.NodeID(to), within)
}

// Failover makes a primary where there is none.
func (o *orders) Failover(ctx context.Context, cluster, to string) error {
	c, err := o.conductor(cluster)
	if err != nil {
		return err
	}
	return c.Failover(ctx, topology.NodeID(to))
}

// Holds returns the holds of all clusters.
func (o *outlook) Holds() []admin.HoldView {
	var all []admin.HoldView
	for _, c := range *o.router.clusters.Load() {
		for _, h := range c.conductor.Holds() {
			all = append(all, admin.HoldView{
				Cluster: string(c.manager.Cluster()), ID: h.ID, By: h.By, Reason: h.Why.String(), Since: h.Since, Until: h.Until,
			})
		}
	}
	return all
}

// Peers returns what is known of the other routers.
func (o *outlook) Peers() []admin.PeerView { return o.router.peers.Known() }
