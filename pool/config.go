package pool

import (
	"errors"
	"fmt"
	"time"
)

// Config is what holds for one queue.
type Config struct {
	Size           int // server connections per node
	MinSize        int // of them kept open while the queue has a user; at most Size counts
	ReserveSize    int // more of them when the first in the line has waited for ReserveTimeout
	ReserveTimeout time.Duration
	MaxDatabase    int           // server connections of all queues of the database together; 0 = no limit
	MaxUser        int           // server connections of all queues of the user together; 0 = no limit
	IdleTimeout    time.Duration // an idle connection is closed after this long; 0 = never
	Lifetime       time.Duration // a connection is closed, once idle, at this age ±10 %; 0 = never
	NoPrimaryAfter time.Duration // with Key.ReadOnly: how long work is held for want of a primary before it goes to a standby
	MaxWaiters     int           // clients waiting at once (hold_max_clients); the newest beyond it is refused; 0 = no limit
	DialParallel   int           // connections being opened at once to one node, all queues together
	DialBackoffMin time.Duration // pause after the first failure to open a connection; doubled with every further one
	DialBackoffMax time.Duration
	ResetQuery     string        // gives a server that was somebody's own to anybody
	ResetAlways    bool          // it is sent whenever a server is given back
	AnswerTimeout  time.Duration // how long a server may take to answer what we ask for ourselves, a reset or a prelude, before it is closed
}

// Defaults returns the configuration of a pool that nobody configured.
func Defaults() Config {
	return Config{
		Size: 20, ReserveTimeout: 5 * time.Second, IdleTimeout: 10 * time.Minute, Lifetime: time.Hour, DialParallel: 4,
		DialBackoffMin: 50 * time.Millisecond, DialBackoffMax: 2 * time.Second,
		ResetQuery: "DISCARD ALL", AnswerTimeout: 5 * time.Second, NoPrimaryAfter: 5 * time.Second,
	}
}

// Validate names everything that is wrong.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, name, want string, value any) {
		if !ok {
			faults = append(faults, fmt.Errorf("pool: %s must be %s, is %v", name, want, value))
		}
	}
	check(c.Size > 0, "size", "above 0", c.Size)
	check(c.MinSize >= 0, "min_size", "0 or above", c.MinSize)
	check(c.ReserveSize >= 0, "reserve_size", "0 or above", c.ReserveSize)
	check(c.ReserveTimeout >= 0, "reserve_timeout", "0 or above", c.ReserveTimeout)
	check(c.MaxDatabase >= 0, "max_db_connections", "0 or above", c.MaxDatabase)
	check(c.MaxUser >= 0, "max_user_connections", "0 or above", c.MaxUser)
	check(c.IdleTimeout >= 0, "idle_timeout", "0 or above", c.IdleTimeout)
	check(c.Lifetime >= 0, "lifetime", "0 or above", c.Lifetime)
	check(c.MaxWaiters >= 0, "hold_max_clients", "0 or above", c.MaxWaiters)
	check(c.NoPrimaryAfter >= 0, "no_primary_after", "0 or above", c.NoPrimaryAfter)
	check(c.DialParallel > 0, "dial_parallel", "above 0", c.DialParallel)
	check(c.DialBackoffMin > 0, "dial_backoff_min", "above 0", c.DialBackoffMin)
	check(c.DialBackoffMax >= c.DialBackoffMin, "dial_backoff_max", "at least dial_backoff_min", c.DialBackoffMax)
	check(c.ResetQuery != "", "reset_query", "a statement", `""`)
	check(c.AnswerTimeout > 0, "answer_timeout", "above 0", c.AnswerTimeout)
	return errors.Join(faults...)
}

// Apply says what of a new configuration needs a restart: nothing, Pool.Reconfigure puts all of it in force.
func Apply(_, _ Config) []string { return nil }
