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

// newRegime reads what the configuration only names. former are the people whom it finds, nil at the start.
func newRegime(cfg *config.Config, former *people) (*regime, error) {
	people, err := newPeople(cfg, former)
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

// clientNames returns the names under which clients come to a database and a user of the servers: those of the first database that
// leads there, and no user where the router logs in as somebody of its own.
func (r *regime) clientNames(database, user string) (clientDatabase, clientUser string) {
	for i := range r.Databases {
		d := &r.Databases[i]
		switch {
		case r.ServerDatabase(d.Name) != database:
		case d.User == "":
			return d.Name, user
		case d.User == user:
			return d.Name, ""
		}
	}
	return database, user
}

// poolConfig returns the settings of a queue. Clients who use it bring their own, which may be those of other names.
func (r *regime) poolConfig(k pool.Key) pool.Config {
	database, user := r.clientNames(k.Database, k.User)
	return poolConfig(r.PoolFor(database, user), r.QuotaFor(database, user))
}

// inForce holds the regime in force. Whoever needs a part of it asks here, anew each time.
type inForce struct{ atomic.Pointer[regime] }

// Exchange begins a client's login (proxy.Authenticator).
func (f *inForce) Exchange(user string) *auth.Exchange { return f.Load().people.Exchange(user) }

// Known reports whether there is such a user (proxy.Authenticator).
func (f *inForce) Known(user string) bool { return f.Load().people.Entry(user).Known() }
