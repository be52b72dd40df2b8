package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/config"
)

// keysRemembered bounds how many users' SCRAM keys are remembered for our own logins.
const keysRemembered = 10000

// people is who may come in, and as whom we log in to servers. It is read-only once made.
type people struct {
	method auth.Method
	single map[string]auth.Entry
	others auth.Users // who is not in single: the list, everybody (trust without a list), or nobody
	seed   auth.Seed
	ring   *auth.KeyRing
}

// newPeople reads the userlist. Those whom the former people knew, nil at the start, keep what was derived and remembered for them.
func newPeople(cfg *config.Config, former *people) (*people, error) {
	method, err := auth.ParseMethod(cfg.Auth.Method)
	if err != nil {
		return nil, err
	}
	p := &people{method: method, single: make(map[string]auth.Entry)}
	if former == nil {
		former = &people{seed: auth.NewSeed(), ring: auth.NewKeyRing(keysRemembered)}
	}
	p.seed, p.ring, p.others = former.seed, former.ring, nobody{former.seed}
	switch {
	case cfg.Auth.Userlist != "":
		previous, _ := former.others.(*auth.Userlist)
		list, err := auth.LoadUserlist(cfg.Auth.Userlist, auth.UserlistOptions{Name: cfg.Auth.Userlist, Seed: p.seed, Previous: previous})
		if err != nil {
			return nil, &usageError{fmt.Errorf("auth.userlist: %w", err)}
		}
		p.others = list
	case method == auth.MethodTrust:
		p.others = auth.Anyone{}
	}
	if cfg.Auth.User != "" {
		entry, err := auth.NewEntry(cfg.Auth.User, auth.PlainSecret(cfg.Auth.Password.Reveal()), p.seed, auth.DefaultIterations)
		if err != nil {
			return nil, &usageError{fmt.Errorf("auth.user: %w", err)}
		}
		p.single[cfg.Auth.User] = entry
	}
	return p, nil
}

// names returns whom the configuration names.
func (p *people) names() []string {
	names := slices.Collect(maps.Keys(p.single))
	if list, ok := p.others.(*auth.Userlist); ok {
		names = append(names, list.Names()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// census is what has become of users.
type census struct{ added, removed, changed []string }

// since compares with former people.
func (p *people) since(former *people) (c census) {
	if p == former {
		return c
	}
	was := former.names()
	for _, name := range was {
		switch before, now := former.Entry(name), p.Entry(name); {
		case !now.Known():
			c.removed = append(c.removed, name)
		case !now.Secret().Equal(before.Secret()):
			c.changed = append(c.changed, name)
		}
	}
	for _, name := range p.names() {
		if _, known := slices.BinarySearch(was, name); !known {
			c.added = append(c.added, name)
		}
	}
	return c
}

// lines tells a census as changes of the configuration are told.
func (c census) lines() []string {
	var lines []string
	for _, part := range []struct {
		what  string
		names []string
	}{{"added", c.added}, {"removed", c.removed}, {"another secret", c.changed}} {
		if len(part.names) > 0 {
			lines = append(lines, "users: "+part.what+": "+shorten(part.names))
		}
	}
	return lines
}

// shorten lists names, the first of many.
func shorten(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// nobody knows no user.
type nobody struct{ seed auth.Seed }

// Entry returns a mock (auth.Users).
func (n nobody) Entry(user string) auth.Entry {
	return auth.MockEntry(user, n.seed, auth.DefaultIterations)
}

// Entry returns what is known of a user (auth.Users). The mock's work is done in every case, so that the time tells nothing.
func (p *people) Entry(user string) auth.Entry {
	other := p.others.Entry(user)
	if e, ok := p.single[user]; ok {
		return e
	}
	return other
}

// Exchange begins a client's login (proxy.Authenticator).
func (p *people) Exchange(user string) *auth.Exchange {
	return auth.NewExchange(p.method, user, p, p.ring)
}

// serverSecret returns with what we log in to servers as a user.
func (p *people) serverSecret(user string) auth.Secret { return p.ring.ServerSecret(p.Entry(user)) }
