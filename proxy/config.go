package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// Mode says when a client gives its server back.
type Mode uint8

// The pool modes, named as in PgBouncer.
const (
	ModeTransaction Mode = iota // at the end of each transaction
	ModeSession                 // when the client leaves
	ModeStatement               // after each statement; transaction blocks are refused
)

// ParseMode reads the name of a mode.
func ParseMode(s string) (Mode, error) {
	for _, m := range []Mode{ModeTransaction, ModeSession, ModeStatement} {
		if m.String() == s {
			return m, nil
		}
	}
	return 0, fmt.Errorf("proxy: unknown pool mode %q (transaction, session or statement)", s)
}

// String returns the mode's name.
func (m Mode) String() string {
	switch m {
	case ModeSession:
		return "session"
	case ModeStatement:
		return "statement"
	case ModeTransaction:
	}
	return "transaction"
}

// Config is what holds for all clients.
type Config struct {
	MaxClients      int            // clients logged in or logging in, consoles included
	MaxLogins       int            // clients not logged in yet
	LoginTimeout    time.Duration  // from accept to the end of the login, holds not counted
	CancelParallel  int            // cancel requests under way at once
	CancelTimeout   time.Duration  // for one cancel request, connect to end of file
	HoldMaxBytes    int64          // bytes of waiting queries of all clients together
	MaxClientBuffer int            // bytes that one waiting client may send ahead before it is not read any more
	NoReplay        bool           // replay = "never"
	Backend         backend.Config // for cancel requests
}

// Defaults returns the configuration of a router that nobody configured.
func Defaults() Config {
	return Config{
		MaxClients: 10000, MaxLogins: 1000, LoginTimeout: time.Minute, CancelParallel: 100, CancelTimeout: 10 * time.Second,
		HoldMaxBytes: 256 << 20, MaxClientBuffer: 1 << 20,
	}
}

// Validate names everything that is wrong.
func (c Config) Validate() error {
	var faults []error
	positive := func(name string, v int64) {
		if v <= 0 {
			faults = append(faults, fmt.Errorf("proxy: %s must be above 0, is %d", name, v))
		}
	}
	positive("max_clients", int64(c.MaxClients))
	positive("max_logins", int64(c.MaxLogins))
	positive("login_timeout", int64(c.LoginTimeout))
	positive("cancel_parallel", int64(c.CancelParallel))
	positive("cancel_timeout", int64(c.CancelTimeout))
	positive("hold_max_bytes", c.HoldMaxBytes)
	positive("max_client_buffer", int64(c.MaxClientBuffer))
	return errors.Join(faults...)
}

// Apply says what of a new configuration needs a restart: nothing, all of it is read anew for each client.
func Apply(_, _ Config) []string { return nil }

// Policy is what holds for one client, by its listener, database and user.
type Policy struct {
	Mode             Mode
	HoldTimeout      time.Duration // how long a unit of work waits for a node
	WaitTimeout      time.Duration // how long it waits for a free server
	LoginHoldTimeout time.Duration // how long a login waits for a node
	Limits           TimeLimits    // of a client that does not wait
	EagerLogin       bool          // let clients in from cached parameters while no node is there
	MaxDatabase      int           // clients that the database may have; 0 = no limit
	MaxUser          int           // clients that the user may have; 0 = no limit
	Replication      bool          // replication connections are passed on
	ReadOnly         bool          // without a primary, on the route primary: reads from a standby (no_primary)
	ServerUser       string        // whom servers see; "" = the client's own user
	ServerDatabase   string        // which database servers are asked for; "" = the client's own
	RefusePins       bool          // what would pin a session is refused (on_pin)
	MaxPrepared      int           // named statements that a server keeps; 0: relay.PreparedLimit
	Pool             pool.Config
}

// Key puts a client's user and database into the key of a queue.
func (p Policy) Key(k pool.Key, user, database string) pool.Key {
	k.User, k.Database, k.ServerDatabase = cmp.Or(p.ServerUser, user), database, p.ServerDatabase
	if k.ServerDatabase == database {
		k.ServerDatabase = ""
	}
	k.ReadOnly = p.ReadOnly && k.Route == routing.Primary
	return k
}

// TimeLimits end a client that does not wait. 0 is no limit.
type TimeLimits struct {
	Query           time.Duration // how long a server may take to answer
	IdleTransaction time.Duration // how long a client may keep a server in a transaction without asking it anything
	ClientIdle      time.Duration // how long a client may be silent otherwise
}

// shortest returns the shortest of the limits, 0 when there is none.
func (t TimeLimits) shortest() (least time.Duration) {
	for _, d := range []time.Duration{t.Query, t.IdleTransaction, t.ClientIdle} {
		if d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// ListenerConfig is one [[listener]].
type ListenerConfig struct {
	Network string // tcp or unix
	Address string
	Cluster topology.ClusterID
	Route   routing.Route
	Rules   routing.Rules
}

// aimed returns where the listener leads a client that wants nodes of a kind.
func (l ListenerConfig) aimed(attrs routing.SessionAttrs) ListenerConfig {
	l.Route, l.Rules = attrs.Aim(l.Route, l.Rules)
	return l
}
