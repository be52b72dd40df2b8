package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// door is a configured listener and its open sockets: one, or as many as we were started with for it. It does not change once clients
// come through it: a reload makes another of the same sockets.
type door struct {
	config  proxy.ListenerConfig
	sockets []*reactor.Listener // not served yet
	open    []*proxy.Door
}

// startListeners lets clients in, when everything behind the doors stands and all of them can be opened.
func (r *router) startListeners(ctx context.Context) error {
	doors, err := r.openDoors(ctx)
	if err != nil {
		return errors.Join(err, closeSockets(doors))
	}
	for _, d := range doors {
		if err := r.serve(d); err != nil {
			return err
		}
	}
	r.doors.Store(&doors)
	return nil
}

// serve lets clients through a door.
func (r *router) serve(d *door) error {
	for i, ln := range d.sockets {
		cfg := d.config
		cfg.Address = ln.Addr().String()
		open, err := r.proxy.Serve(ln, cfg)
		if err != nil {
			d.sockets = d.sockets[i:]
			return errors.Join(err, closeSockets([]*door{d}))
		}
		d.open = append(d.open, open)
		r.log.Info("listening", "address", cfg.Address, "route", cfg.Route.String(), "cluster", string(cfg.Cluster))
	}
	d.sockets = nil
	return nil
}

// closeSockets gives up what nobody was let through.
func closeSockets(doors []*door) (err error) {
	for _, d := range doors {
		for _, ln := range d.sockets {
			err = errors.Join(err, ln.Close())
		}
	}
	return err
}

// listeners returns the open listeners, with the ports that were given.
func (r *router) listeners() []proxy.ListenerConfig {
	var all []proxy.ListenerConfig
	for _, d := range *r.doors.Load() {
		for _, open := range d.open {
			cfg := d.config
			cfg.Address = open.Address()
			all = append(all, cfg)
		}
	}
	return all
}

// openDoors finds the doors of the sockets that we were started with, and listens for the others. What it has opened is returned
// with an error too.
func (r *router) openDoors(ctx context.Context) ([]*door, error) {
	doors, err := newDoors(r.inForce.Load().Listeners)
	if err != nil {
		return nil, err
	}
	for _, socket := range r.sockets {
		if err := socket.settle(ctx, doors, r.proxy.ListenOptions()); err != nil {
			return doors, err
		}
	}
	for _, d := range doors {
		if len(d.sockets) > 0 {
			continue
		}
		if err := d.listen(r.proxy.ListenOptions()); err != nil {
			return doors, err
		}
	}
	return doors, nil
}

// listen opens the door's own socket.
func (d *door) listen(o reactor.ListenOptions) error {
	ln, err := reactor.Listen(d.config.Network, d.config.Address, o)
	if err != nil {
		return fmt.Errorf("listener %s: %w", d.config.Address, err)
	}
	d.sockets = append(d.sockets, ln)
	return nil
}

// newDoors makes the doors of a configuration, closed.
func newDoors(listeners []config.Listener) ([]*door, error) {
	doors := make([]*door, len(listeners))
	for i := range listeners {
		var err error
		if doors[i], err = newDoor(&listeners[i]); err != nil {
			return nil, err
		}
	}
	return doors, nil
}

func newDoor(l *config.Listener) (*door, error) {
	route, err := routing.ParseRoute(l.Route)
	if err != nil {
		return nil, err
	}
	balance, err := routing.ParseBalance(l.Balance)
	if err != nil {
		return nil, err
	}
	network, address := l.Endpoint()
	return &door{config: proxy.ListenerConfig{
		Network: network, Address: address, Cluster: topology.ClusterID(l.Cluster), Route: route,
		Rules: routing.Rules{
			MaxLag: routing.LagLimit{Bytes: uint64(l.MaxLag), Time: l.MaxLagTime}, FallbackPrimary: l.Fallback == "primary",
			FallbackMax: l.FallbackMax, Balance: balance,
		},
	}}, nil
}

// fits says whether a socket that listens on an address is what the configuration means. All addresses of the machine are one,
// however they are written, and a name may stand for several.
func (d *door) fits(ctx context.Context, at net.Addr) bool {
	switch at := at.(type) {
	case *net.UnixAddr:
		return d.config.Network == "unix" && filepath.Clean(at.Name) == d.config.Address
	case *net.TCPAddr:
		host, port, err := net.SplitHostPort(d.config.Address)
		if err != nil || port != strconv.Itoa(at.Port) {
			return false
		}
		bound := at.AddrPort().Addr().Unmap()
		return slices.ContainsFunc(addressesOf(ctx, host), func(a netip.Addr) bool {
			return a == bound || a.IsUnspecified() && bound.IsUnspecified()
		})
	}
	return false
}

// addressesOf returns what a listener's host stands for, nothing when nobody knows.
func addressesOf(ctx context.Context, host string) []netip.Addr {
	if host == "" {
		return []netip.Addr{netip.IPv6Unspecified()}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found
}
