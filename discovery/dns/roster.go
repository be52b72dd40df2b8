package dns

import (
	"cmp"
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// maxParallel is how many names are asked for at once.
const maxParallel = 16

// roster is all names that are followed. It belongs to Run's goroutine.
type roster struct {
	deps  Deps
	feed  feed
	cfg   Config
	names map[name]*entry
	told  []topology.Member
	began bool // something was told
}

// entry is what is known of one name.
type entry struct {
	name
	due       time.Time
	silent    time.Time // since when there is no answer; zero: there is one, or it was not asked for yet
	problem   string    // why
	addresses []netip.Addr
	at        string               // of a node: where it is reached
	seen      map[string]time.Time // of several and services: their nodes, and when an answer last named them
}

func newRoster(deps Deps, to feed) *roster {
	return &roster{deps: deps, feed: to, names: make(map[name]*entry)}
}

// hurry makes all names due: they may be asked of another server now, and whoever reloads may have changed DNS.
func (r *roster) hurry() {
	for _, e := range r.names {
		e.due = time.Time{}
	}
}

// follow makes the names those of the configuration, and the targets of its services. What was found of another family goes at once: it is
// the same servers again.
func (r *roster) follow(cfg Config) {
	if cfg.Family != r.cfg.Family {
		maps.DeleteFunc(r.names, func(n name, _ *entry) bool { return n.kind == several })
	}
	r.cfg = cfg
	wanted := cfg.follows()
	for _, n := range wanted {
		if e := r.names[n]; e != nil && n.kind == services {
			for target := range e.seen {
				if t, err := parse(target); err == nil && t.isName() {
					wanted = append(wanted, t)
				}
			}
		}
	}
	maps.DeleteFunc(r.names, func(n name, _ *entry) bool { return !slices.Contains(wanted, n) })
	for _, n := range wanted {
		if r.names[n] == nil {
			r.names[n] = &entry{name: n, at: n.String(), seen: make(map[string]time.Time)}
		}
	}
}

// due returns when the next name is; false: none is followed.
func (r *roster) due() (next time.Time, some bool) {
	for _, e := range r.names {
		if !some || e.due.Before(next) {
			next, some = e.due, true
		}
	}
	return next, some
}

// ask asks for all names that are due, and waits for the answers: a name that hangs delays the others by one timeout at most.
func (r *roster) ask(ctx context.Context) {
	type outcome struct {
		answer
		err error
	}
	now := time.Now()
	var asked []*entry
	for _, e := range r.names {
		if !e.due.After(now) {
			asked = append(asked, e)
		}
	}
	outcomes := make([]outcome, len(asked))
	var group errgroup.Group
	group.SetLimit(maxParallel)
	for i, e := range asked {
		group.Go(func() error {
			a, err := r.cfg.lookup(ctx, e.name)
			outcomes[i] = outcome{a, err}
			return nil
		})
	}
	_ = group.Wait() // they return none
	if ctx.Err() != nil {
		return
	}
	for i, e := range asked {
		e.due = time.Now().Add(spreadOut(outcomes[i].pause))
		if err := outcomes[i].err; err != nil {
			r.unheard(e, err.Error())
			continue
		}
		r.heard(e, outcomes[i].answer)
	}
}

// heard takes in an answer.
func (r *roster) heard(e *entry, a answer) {
	now := time.Now()
	if !e.silent.IsZero() {
		r.emit(event.Event{Kind: event.SourceBack, Reason: e.String(), Took: now.Sub(e.silent)})
		e.silent, e.problem = time.Time{}, ""
	}
	switch e.kind {
	case node:
		at := r.lead(e, a.addresses)
		if at != e.at {
			r.deps.Logger.Info("a node's name leads elsewhere", "node", e.String(), "former", e.at, "now", at)
		}
		e.at = at
	case several:
		for _, address := range a.addresses {
			e.seen[net.JoinHostPort(address.String(), e.port)] = now
		}
	case services:
		for _, target := range a.targets {
			e.seen[target.String()] = now
		}
	}
	e.addresses = a.addresses
	crowded := len(e.seen) > 2*maxAnswers
	maps.DeleteFunc(e.seen, func(_ string, at time.Time) bool {
		return now.Sub(at) > r.cfg.ForgetAfter || crowded && !at.Equal(now)
	})
}

// lead returns where a node is reached whose name leads to the addresses: still where it was, as long as the name leads there. Of several
// addresses the dialler chooses, for it tries them all; but it would not ask our own server.
func (r *roster) lead(e *entry, addresses []netip.Addr) string {
	at := func(a netip.Addr) string { return net.JoinHostPort(a.String(), e.port) }
	same := func(a netip.Addr) bool { return at(a) == e.at }
	overlaps := slices.ContainsFunc(addresses, func(a netip.Addr) bool { return slices.Contains(e.addresses, a) })
	switch {
	case slices.ContainsFunc(addresses, same), e.at == e.String() && overlaps:
		return e.at
	case len(addresses) == 1 || r.cfg.Server != "":
		return at(addresses[0])
	}
	return e.String()
}

// unheard takes in that there is no answer. What was known stays, also when DNS says that there is nothing: that takes no server away, it
// is as often a mistake, and the nodes tell by SQL whether they are there.
func (r *roster) unheard(e *entry, problem string) {
	e.problem = problem
	if !e.silent.IsZero() {
		return
	}
	e.silent = time.Now()
	r.emit(event.Event{Kind: event.SourceSilent, Reason: e.String() + ": " + problem})
}

func (r *roster) emit(e event.Event) {
	e.Time, e.Cluster, e.From = time.Now(), string(r.deps.Cluster), Name
	r.deps.Events.Emit(e)
}

// tell tells the members, if they are others than those that were told.
func (r *roster) tell() {
	members := r.members()
	if r.began && slices.Equal(members, r.told) {
		return
	}
	r.told, r.began = members, true
	r.feed.Members(members)
}

// members returns all nodes that the names lead to, sorted. A node that is configured by its name counts before its name was ever answered.
func (r *roster) members() []topology.Member {
	var all []topology.Member
	for _, e := range r.names {
		switch e.kind {
		case node:
			all = append(all, topology.Member{ID: topology.NodeID(e.String()), Address: e.at, Resolved: e.at != e.String()})
		case several, services:
			for at := range e.seen {
				if t, err := parse(at); err == nil && !t.isName() {
					all = append(all, topology.Member{ID: topology.NodeID(at), Address: at})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b topology.Member) int { return cmp.Compare(a.ID, b.ID) })
	return slices.Compact(all)
}

// hosts returns what pages show.
func (r *roster) hosts() []Host {
	var all []Host
	for _, e := range r.names {
		h := Host{Cluster: r.deps.Cluster, Name: e.String(), Due: e.due, Problem: e.problem}
		for _, a := range e.addresses {
			h.Addresses = append(h.Addresses, a.String())
		}
		if e.kind == services {
			h.Addresses = slices.Sorted(maps.Keys(e.seen))
		}
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b Host) int { return strings.Compare(a.Name, b.Name) })
	return all
}
