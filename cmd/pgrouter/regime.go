package main

import (
	"sync/atomic"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/pool"
)

// regime is the configuration, and who may come in under it. It never changes.
type regime struct {
	*config.Config
	people *people
}

// newRegime reads what the configuration only names. former is the regime that it follows, nil at the start.
func newRegime(cfg *config.Config, former *regime) (*regime, error) {
	var known *people
	if former != nil {
		known = former.people
	}
	people, err := newPeople(cfg, known)
	if err != nil {
		return nil, err
	}
	return &regime{Config: cfg, people: people}, nil
}

// amendedRegime follows another without a look at files: only for other keys of [auth] people are read again.
func amendedRegime(cfg *config.Config, former *regime) (*regime, error) {
	if cfg.Auth != former.Auth {
		return newRegime(cfg, former)
	}
	return &regime{Config: cfg, people: former.people}, nil
}

// serverSecret returns with what we log in to servers for a queue.
func (r *regime) serverSecret(k pool.Key) auth.Secret {
	if password := r.ServerPassword(k.Database, k.User); !password.IsZero() {
		return auth.PlainSecret(password.Reveal())
	}
	return r.people.serverSecret(k.User)
}

// clientUser returns the client for whom the router logs in to servers as a user; "", for any, where it logs in as one of its own.
func (r *regime) clientUser(database, user string) string {
	if r.ServerUser(database) == user {
		return ""
	}
	return user
}

// poolConfig returns the settings of a queue. Clients of several users who share it bring their own.
func (r *regime) poolConfig(k pool.Key) pool.Config {
	user := r.clientUser(k.Database, k.User)
	return poolConfig(r.PoolFor(k.Database, user), r.QuotaFor(k.Database, user))
}

// inForce holds the regime in force. Whoever needs a part of it asks here, anew each time.
type inForce struct{ atomic.Pointer[regime] }

// Exchange begins a client's login (proxy.Authenticator).
func (f *inForce) Exchange(user string) *auth.Exchange { return f.Load().people.Exchange(user) }

// Known reports whether there is such a user (proxy.Authenticator).
func (f *inForce) Known(user string) bool { return f.Load().people.Entry(user).Known() }
