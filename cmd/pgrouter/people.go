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
	list   *auth.Userlist // nil: there is none
	single map[string]auth.Entry
	any    bool // everybody is known: trust, and nobody named any users
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
	if cfg.Auth.Userlist != "" {
		if p.list, err = auth.LoadUserlist(cfg.Auth.Userlist, auth.UserlistOptions{Name: cfg.Auth.Userlist, Seed: p.seed}); err != nil {
			return nil, fmt.Errorf("auth.userlist: %w", err)
		}
	}
	if cfg.Auth.User != "" {
		entry, err := auth.NewEntry(cfg.Auth.User, auth.PlainSecret(cfg.Auth.Password.Reveal()), p.seed, auth.DefaultIterations)
		if err != nil {
			return nil, fmt.Errorf("auth.user: %w", err)
		}
		p.single[cfg.Auth.User] = entry
	}
	p.any = method == auth.MethodTrust && p.list == nil
	return p, nil
}

// Entry returns what is known of a user (auth.Users).
func (p *people) Entry(user string) auth.Entry {
	if e, ok := p.single[user]; ok {
		return e
	}
	if p.list != nil {
		return p.list.Entry(user)
	}
	if p.any {
		if e, err := auth.NewEntry(user, auth.Secret{}, p.seed, auth.DefaultIterations); err == nil {
			return e
		}
	}
	return auth.MockEntry(user, p.seed, auth.DefaultIterations)
}

// Exchange begins a client's login (proxy.Authenticator).
func (p *people) Exchange(user string) *auth.Exchange {
	return auth.NewExchange(p.method, user, p, p.ring)
}

// serverSecret returns with what we log in to servers as a user.
func (p *people) serverSecret(user string) auth.Secret { return p.ring.ServerSecret(p.Entry(user)) }
