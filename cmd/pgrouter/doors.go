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

// door is a configured listener and its open sockets: one, or as many as we were started with for it.
type door struct {
	config  proxy.ListenerConfig
	sockets []*reactor.Listener
}

// startListeners lets clients in, when everything behind the doors stands and all of them can be opened.
func (r *router) startListeners(ctx context.Context) error {
	doors, err := r.openDoors(ctx)
	var open []proxy.ListenerConfig
	for _, d := range doors {
		for _, ln := range d.sockets {
			if err != nil {
				err = errors.Join(err, ln.Close())
				continue
			}
			cfg := d.config
			cfg.Address = ln.Addr().String()
			if _, err = r.proxy.Serve(ln, cfg); err != nil {
				continue
			}
			open = append(open, cfg)
			r.log.Info("listening", "address", cfg.Address, "route", cfg.Route.String(), "cluster", string(cfg.Cluster))
		}
	}
	r.doors.Store(&open)
	return err
}

// openDoors finds the doors of the sockets that we were started with, and listens for the others. What it has opened is returned
// with an error too.
func (r *router) openDoors(ctx context.Context) ([]*door, error) {
	listeners := r.inForce.Load().Listeners
	doors := make([]*door, 0, len(listeners))
	for i := range listeners {
		d, err := newDoor(&listeners[i])
		if err != nil {
			return nil, err
		}
		doors = append(doors, d)
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
		ln, err := reactor.Listen(d.config.Network, d.config.Address, r.proxy.ListenOptions())
		if err != nil {
			return doors, fmt.Errorf("listener %s: %w", d.config.Address, err)
		}
		d.sockets = append(d.sockets, ln)
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
		Rules: routing.Rules{MaxLagBytes: uint64(l.MaxLag), FallbackPrimary: l.Fallback == "primary", Balance: balance},
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
