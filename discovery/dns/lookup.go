package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a name may lead to, and of how often it is asked for.
const (
	maxAnswers = 64              // nodes of one name: each is watched by a goroutine
	minPause   = time.Second     // between two questions for a name, however short the TTL
	hostsPause = 5 * time.Second // for names of /etc/hosts, as often as Go looks into it
	failPause  = 2 * time.Second // after a failure of the resolver
	spread     = 10              // a pause is longer by up to this part of it, so that many routers do not ask at once
)

// answer is what a name led to.
type answer struct {
	addresses []netip.Addr // of a node, or of several; sorted, without doubles
	targets   []name       // of services; sorted, without doubles
	pause     time.Duration
}

// lookup asks for one name. The pause holds for a failure too.
func (c *Config) lookup(ctx context.Context, n name) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	heard := &tap{}
	defer heard.close()
	resolver := c.resolver(heard)
	var a answer
	var err error
	if n.kind == services {
		a.targets, err = targets(ctx, resolver, n.host)
	} else {
		a.addresses, err = addresses(ctx, resolver, c.network(n.kind), n.host)
	}
	a.pause = c.pause(heard, err)
	return a, explain(err)
}

// resolver returns Go's own, with a tap on its connections.
func (c *Config) resolver(heard *tap) *net.Resolver {
	server := c.Server // a look-up that was given up may dial once more
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		address = cmp.Or(server, address)
		return heard.dial(ctx, network, address)
	}}
}

func (c *Config) network(k kind) string {
	switch {
	case k == node:
		return "ip"
	case c.Family == FamilyIPv6:
		return "ip6"
	}
	return "ip4"
}

// pause returns when to ask again, without the spread.
func (c *Config) pause(heard *tap, err error) time.Duration {
	ttl, known := heard.ttl()
	missing, is := errors.AsType[*net.DNSError](err)
	switch {
	case err != nil && (!is || !missing.IsNotFound):
		return failPause
	case !known:
		return min(hostsPause, c.MaxTTL)
	}
	return min(max(ttl, minPause), c.MaxTTL)
}

// spreadOut makes a pause a little longer.
func spreadOut(d time.Duration) time.Duration {
	return d + rand.N(d/spread+1) //nolint:gosec // it spreads load and keeps no secret
}

func addresses(ctx context.Context, r *net.Resolver, network, host string) ([]netip.Addr, error) {
	found, err := r.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	slices.SortFunc(found, netip.Addr.Compare)
	found = slices.Compact(found)
	if len(found) > maxAnswers {
		return nil, fmt.Errorf("%d addresses are more than %d", len(found), maxAnswers)
	}
	return found, nil
}

func targets(ctx context.Context, r *net.Resolver, service string) ([]name, error) {
	_, found, err := r.LookupSRV(ctx, "", "", service)
	if err != nil {
		return nil, err
	}
	var all []name
	for _, srv := range found {
		host := strings.ToLower(strings.TrimSuffix(srv.Target, "."))
		if host != "" && srv.Port != 0 { // "." says that there is no such service here
			all = append(all, name{kind: node, host: host, port: strconv.Itoa(int(srv.Port))})
		}
	}
	slices.SortFunc(all, func(a, b name) int { return strings.Compare(a.String(), b.String()) })
	all = slices.Compact(all)
	switch {
	case len(all) == 0:
		return nil, errors.New("the service has no targets")
	case len(all) > maxAnswers:
		return nil, fmt.Errorf("%d targets are more than %d", len(all), maxAnswers)
	}
	return all, nil
}

// explain says what an operator has to know of a failure: that the name is wrong, or that DNS is.
func explain(err error) error {
	failed, is := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil || !is:
		return err
	case failed.IsNotFound:
		return errors.New("DNS has no such name, or no address for it")
	case failed.IsTimeout:
		return errors.New("no DNS server answers in time")
	}
	return fmt.Errorf("DNS fails: %s", failed.Err)
}
