//go:build linux

package reactor

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// SocketOptions are the kernel's settings of a TCP connection. Zero durations and counts leave the system's default.
type SocketOptions struct {
	NoDelay      bool          // send small segments at once (TCP_NODELAY)
	KeepIdle     time.Duration // silence before the first keep-alive probe; 0: no keep-alive. Whole seconds, rounded up
	KeepInterval time.Duration // between probes. Whole seconds, rounded up
	KeepCount    int           // unanswered probes until the connection is dead
}

// DefaultSocketOptions finds a dead peer after a minute of silence; with bytes under way Config.PeerTimeout does, and not
// TCP_USER_TIMEOUT, with which the kernel does not tell a dead peer from one that lives and does not read: a client that thinks
// about its rows, a server whose COPY waits for a lock.
func DefaultSocketOptions() SocketOptions {
	return SocketOptions{NoDelay: true, KeepIdle: 30 * time.Second, KeepInterval: 10 * time.Second, KeepCount: 3}
}

const (
	maxKeepSeconds = 32767 // the kernel's MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL
	maxKeepCount   = 127   // the kernel's MAX_TCP_KEEPCNT
)

// Validate says what the kernel would refuse.
func (o SocketOptions) Validate() error {
	const longest = maxKeepSeconds * time.Second
	switch {
	case o.KeepIdle < 0 || o.KeepIdle > longest:
		return fmt.Errorf("keep-alive idle time: %v is not between 0 and %v", o.KeepIdle, longest)
	case o.KeepInterval < 0 || o.KeepInterval > longest:
		return fmt.Errorf("keep-alive interval: %v is not between 0 and %v", o.KeepInterval, longest)
	case o.KeepCount < 0 || o.KeepCount > maxKeepCount:
		return fmt.Errorf("keep-alive count: %d is not between 0 and %d", o.KeepCount, maxKeepCount)
	}
	return nil
}

// socketOption is one setsockopt.
type socketOption struct {
	name        string
	level, code int
	value       int
}

func (o SocketOptions) list() []socketOption {
	list := []socketOption{
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, flag(o.NoDelay)},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, flag(o.KeepIdle > 0)},
	}
	if o.KeepIdle > 0 {
		list = append(list, socketOption{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, roundUp(o.KeepIdle, time.Second)})
	}
	if o.KeepInterval > 0 {
		list = append(list, socketOption{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, roundUp(o.KeepInterval, time.Second)})
	}
	if o.KeepCount > 0 {
		list = append(list, socketOption{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, o.KeepCount})
	}
	return list
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}

func roundUp(d, unit time.Duration) int { return int((d + unit - 1) / unit) }

// Apply sets the options on c, a *net.TCPConn or a Socket in blocking mode around one. On unix sockets it does nothing.
func (o SocketOptions) Apply(c net.Conn) error {
	if s, ok := c.(*Socket); ok {
		if s.inner == nil {
			return fmt.Errorf("set options of %v: %w", s.remote, ErrAttached)
		}
		c = s.inner
	}
	if _, ok := c.(*net.UnixConn); ok {
		return nil
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return fmt.Errorf("set options: a %T has no descriptor", c)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return fmt.Errorf("set options of %v: %w", c.RemoteAddr(), err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = setOptions(int(fd), o.list()) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("set options of %v: %w", c.RemoteAddr(), err)
	}
	return nil
}

func setOptions(fd int, list []socketOption) error {
	for _, o := range list {
		if err := unix.SetsockoptInt(fd, o.level, o.code, o.value); err != nil {
			return fmt.Errorf("%s %d: %w", o.name, o.value, err)
		}
	}
	return nil
}
