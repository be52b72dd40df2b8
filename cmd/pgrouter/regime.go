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

// newRegime reads what the configuration only names.
func newRegime(cfg *config.Config) (*regime, error) {
	people, err := newPeople(cfg)
	if err != nil {
		return nil, err
	}
	return &regime{Config: cfg, people: people}, nil
}

// serverSecret returns with what we log in to servers for a queue.
func (r *regime) serverSecret(k pool.Key) auth.Secret {
	if password := r.ServerPassword(k.Database, k.User); !password.IsZero() {
		return auth.PlainSecret(password.Reveal())
	}
	return r.people.serverSecret(k.User)
}

// inForce holds the regime in force. Whoever needs a part of it asks here, anew each time.
type inForce struct{ atomic.Pointer[regime] }

// Exchange begins a client's login (proxy.Authenticator).
func (f *inForce) Exchange(user string) *auth.Exchange { return f.Load().people.Exchange(user) }

// Known reports whether there is such a user (proxy.Authenticator).
func (f *inForce) Known(user string) bool { return f.Load().people.Entry(user).Known() }
