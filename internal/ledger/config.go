package ledger

import (
	"errors"
	"fmt"
	"time"
)

// Protocol says how clients send their statements.
type Protocol uint8

// The protocols.
const (
	Simple   Protocol = iota // one Query message per statement, as libpq's PQexec sends it
	Extended                 // Parse, Bind, Describe, Execute, Sync with the unnamed statement
)

// Mix says how often each operation comes, in per cent. The sum is 100.
type Mix struct {
	Lookup   int // a SELECT on the read DSN
	Register int // an upsert of a location, autocommit
	Record   int // an INSERT of a call record, autocommit
	Call     int // BEGIN, three statements, COMMIT
}

// DefaultMix is what a registrar with some calls does.
func DefaultMix() Mix { return Mix{Lookup: 60, Register: 25, Record: 10, Call: 5} }

// Config describes a load. Zero values are replaced by defaults, save the DSNs.
type Config struct {
	WriteDSN    string        // where writes go
	ReadDSN     string        // where lookups go; WriteDSN when empty
	Clients     int           // how many at once; 16
	Rate        float64       // operations per second of all clients together; 0: as fast as the answers come
	Mix         Mix           // DefaultMix
	Protocol    Protocol      // Simple
	Subscribers int           // rows of the location table; 1000
	Timeout     time.Duration // for one statement; then the connection is given up and the outcome is unknown. 30 s
	Slow        time.Duration // from which latency on an operation counts as held; 250 ms
	Seed        uint64        // of the clients' dice
}

// Defaults fills in what is zero.
func (c Config) Defaults() Config {
	const (
		clients     = 16
		subscribers = 1000
		timeout     = 30 * time.Second
		slow        = 250 * time.Millisecond
	)
	if c.ReadDSN == "" {
		c.ReadDSN = c.WriteDSN
	}
	if c.Clients == 0 {
		c.Clients = clients
	}
	if c.Mix == (Mix{}) {
		c.Mix = DefaultMix()
	}
	if c.Subscribers == 0 {
		c.Subscribers = subscribers
	}
	if c.Timeout == 0 {
		c.Timeout = timeout
	}
	if c.Slow == 0 {
		c.Slow = slow
	}
	return c
}

// Validate names what makes no sense, after Defaults.
func (c Config) Validate() error {
	const whole = 100
	m := c.Mix
	switch {
	case c.WriteDSN == "":
		return errors.New("no DSN to write to")
	case c.Clients < 1 || c.Subscribers < 1 || c.Rate < 0 || c.Timeout < 0 || c.Slow < 0:
		return errors.New("clients and subscribers must be positive, rate and times not negative")
	case m.Lookup < 0 || m.Register < 0 || m.Record < 0 || m.Call < 0 || m.Lookup+m.Register+m.Record+m.Call != whole:
		return fmt.Errorf("mix %+v is not 100 per cent", m)
	}
	return nil
}
