package main

import (
	"fmt"

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

// newPeople reads the userlist.
func newPeople(cfg *config.Config) (*people, error) {
	method, err := auth.ParseMethod(cfg.Auth.Method)
	if err != nil {
		return nil, err
	}
	p := &people{method: method, single: make(map[string]auth.Entry), seed: auth.NewSeed(), ring: auth.NewKeyRing(keysRemembered)}
	p.others = nobody{p.seed}
	switch {
	case cfg.Auth.Userlist != "":
		list, err := auth.LoadUserlist(cfg.Auth.Userlist, auth.UserlistOptions{Name: cfg.Auth.Userlist, Seed: p.seed})
		if err != nil {
			return nil, fmt.Errorf("auth.userlist: %w", err)
		}
		p.others = list
	case method == auth.MethodTrust:
		p.others = auth.Anyone{}
	}
	if cfg.Auth.User != "" {
		entry, err := auth.NewEntry(cfg.Auth.User, auth.PlainSecret(cfg.Auth.Password.Reveal()), p.seed, auth.DefaultIterations)
		if err != nil {
			return nil, fmt.Errorf("auth.user: %w", err)
		}
		p.single[cfg.Auth.User] = entry
	}
	return p, nil
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
