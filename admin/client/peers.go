package client

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/topology"
)

const (
	margin       = 2 * time.Second  // beyond the wait of an order, in which a peer must have answered
	watchEvery   = 10 * time.Second // between two looks at whether peers take orders
	watchID      = "pgrouter-watch" // of no hold
	releaseLimit = 2 * time.Second
)

// Peers are the other routers in front of the same clusters (failover.Peers). It is safe for concurrent use.
type Peers struct {
	name   string
	events event.Sink
	mu     struct {
		sync.Mutex
		all []*peer // the list is replaced, never changed
	}
}

// peer is one of them; what is known of it is guarded by Peers.mu.
type peer struct {
	router *Router
	known  admin.PeerView
}

var _ failover.Peers = (*Peers)(nil)

// NewPeers makes the routers at some addresses, and asks none of them. name is ours, for their logs.
func NewPeers(name string, addresses []string, events event.Sink) *Peers {
	p := &Peers{name: name, events: events}
	p.Reload(addresses)
	return p
}

// Reload puts other addresses in force. What is known of those that stay is kept.
func (p *Peers) Reload(addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*peer
	for _, address := range addresses {
		at := slices.IndexFunc(p.mu.all, func(known *peer) bool { return known.known.Peer == address })
		if at >= 0 {
			all = append(all, p.mu.all[at])
			continue
		}
		all = append(all, &peer{router: New(address), known: admin.PeerView{Peer: address}})
	}
	p.mu.all = all
}

// clip shortens a name to what a router takes for one.
func clip(name string) string { return strings.ToValidUTF8(name[:min(len(name), admin.MaxName)], "") }

func (p *Peers) list() []*peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.all
}

// Known returns what is known of each, in the order of their addresses.
func (p *Peers) Known() []admin.PeerView {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []admin.PeerView
	for _, one := range p.mu.all {
		all = append(all, one.known)
	}
	return all
}

// Hold asks all of them at once, and answers when each has, or when order.Wait and two seconds are over. A further order of the same ID renews it.
func (p *Peers) Hold(ctx context.Context, cluster topology.ClusterID, order failover.HoldOrder) []failover.PeerHeld {
	request := admin.HoldRequest{
		Cluster: string(cluster), ID: order.ID, By: clip(p.name + ": " + order.By), Lease: order.Lease.String(), Wait: order.Wait.String(), Local: true,
	}
	all := p.list()
	held := make([]failover.PeerHeld, len(all))
	p.ask(ctx, order.Wait+margin, all, func(ctx context.Context, i int) error {
		answer, err := all[i].router.Hold(ctx, request)
		held[i] = failover.PeerHeld{
			Peer: all[i].router.URL(), Held: failover.Held{Until: answer.Until, Drained: answer.Drained, Blockers: answer.Blockers}, Err: err,
		}
		return err
	})
	return held
}

// Release ends the holds of that ID at all of them. The end of ctx does not keep them from being told.
func (p *Peers) Release(ctx context.Context, cluster topology.ClusterID, id string) {
	all := p.list()
	p.ask(context.WithoutCancel(ctx), releaseLimit, all, func(ctx context.Context, i int) error {
		_, err := all[i].router.Release(ctx, admin.ReleaseRequest{Cluster: string(cluster), ID: id, Local: true})
		return err
	})
}

// Watch asks the peers now and then for something that changes nothing, so that one that does not answer, or does not let us, is known before it
// is needed. It returns when ctx ends.
func (p *Peers) Watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		p.look(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *Peers) look(ctx context.Context) {
	all := p.list()
	p.ask(ctx, releaseLimit, all, func(ctx context.Context, i int) error {
		_, err := all[i].router.Release(ctx, admin.ReleaseRequest{ID: watchID, Local: true})
		return err
	})
}

// ask does something with each peer at once, and notes who has answered. An order that was given up says nothing of them.
func (p *Peers) ask(ctx context.Context, limit time.Duration, all []*peer, do func(ctx context.Context, i int) error) {
	var asked sync.WaitGroup
	for i, one := range all {
		asked.Go(func() {
			bounded, stop := context.WithTimeout(ctx, limit)
			defer stop()
			err := do(bounded, i)
			if ctx.Err() == nil {
				p.note(one, err)
			}
		})
	}
	asked.Wait()
}

// note keeps how a peer has answered, and tells when that is another way than before. A hold that it could not make, for reasons of the
// cluster's, is an answer.
func (p *Peers) note(one *peer, err error) {
	now := time.Now()
	p.mu.Lock()
	before := one.known
	after := admin.PeerView{Peer: before.Peer, Up: err == nil || isConflict(err), At: now, Since: before.Since}
	if !after.Up {
		after.Error = err.Error()
	}
	turned := before.At.IsZero() || before.Up != after.Up
	if turned {
		after.Since = now
	}
	one.known = after
	p.mu.Unlock()
	switch {
	case !turned:
	case !after.Up:
		p.events.Emit(event.Event{Kind: event.PeerSilent, From: after.Peer, Reason: after.Error})
	case !before.At.IsZero():
		p.events.Emit(event.Event{Kind: event.PeerBack, From: after.Peer, Took: now.Sub(before.Since)})
	}
}
