package backend

import (
	"fmt"
	"time"

	"github.com/pgrouter/pgrouter/reactor"
)

// Default time limits.
const (
	DefaultConnectTimeout = 5 * time.Second
	DefaultLoginTimeout   = 5 * time.Second
)

// Config says how long a server connection may take to be made, and how its socket is set. Zero fields take the values of
// [Defaults].
type Config struct {
	ConnectTimeout time.Duration         // for name resolution and the connection
	LoginTimeout   time.Duration         // from then on until the server is ready; for a cancel request until it is done
	Socket         reactor.SocketOptions // of TCP connections
	CheckInterval  time.Duration         // see checkParam; 0: not asked for
	Pooler         bool                  // servers are reached through a connection pooler: see conversation.admitRole
}

// Defaults returns the configuration that is used for what is left zero.
func Defaults() Config {
	return Config{ConnectTimeout: DefaultConnectTimeout, LoginTimeout: DefaultLoginTimeout, Socket: reactor.DefaultSocketOptions()}
}

// Validate says what is impossible. Zero fields are valid.
func (c Config) Validate() error {
	if c.ConnectTimeout < 0 {
		return fmt.Errorf("connect timeout: %v is negative", c.ConnectTimeout)
	}
	if c.LoginTimeout < 0 {
		return fmt.Errorf("login timeout: %v is negative", c.LoginTimeout)
	}
	if c.CheckInterval < 0 {
		return fmt.Errorf("client_connection_check_interval: %v is negative", c.CheckInterval)
	}
	if c.Socket == (reactor.SocketOptions{}) {
		return nil
	}
	return c.Socket.Validate()
}

func (c Config) withDefaults() Config {
	d := Defaults()
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = d.ConnectTimeout
	}
	if c.LoginTimeout == 0 {
		c.LoginTimeout = d.LoginTimeout
	}
	if c.Socket == (reactor.SocketOptions{}) {
		c.Socket = d.Socket
	}
	return c
}

// Apply returns what of a new configuration needs a restart: nothing, each connection is made with the configuration of its
// moment.
func Apply(_, _ Config) []string { return nil }
