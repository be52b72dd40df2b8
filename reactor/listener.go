//go:build linux

package reactor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	firstBackOff   = 5 * time.Millisecond
	longestBackOff = 500 * time.Millisecond
	maxShed        = 64 // connections closed unserved in one round
)

// ListenOptions say how a Listener listens. The zero value is ready.
type ListenOptions struct {
	ReusePort   bool          // let other processes listen on the same port
	DeferAccept time.Duration // accept only when the client has spoken; 0: at once. Whole seconds, rounded up. TCP only
	UnixMode    os.FileMode   // permissions of a unix socket's file; 0: what the umask leaves
	Exhausted   func(error)   // told once each time the process runs out of descriptors; nil: nobody
}

// Listener accepts connections. When the process is out of descriptors it sheds: waiting clients are closed at once with a
// descriptor kept for that, so that they try another host instead of hanging.
type Listener struct {
	inner     net.Listener
	exhausted func(error)
	done      chan struct{}
	closing   sync.Once
	closed    error
	mu        struct {
		sync.Mutex
		reserve *os.File // nil while there is no descriptor for it
		shed    uint64
	}
}

// Listen listens on "tcp", "tcp4", "tcp6" or "unix". A unix socket's file that nobody listens on any more is replaced.
func Listen(network, address string, o ListenOptions) (*Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1} // SocketOptions decide
	lc.SetMultipathTCP(false)             // Go's default; a socket of it has other options and other readiness than TCP's
	lc.Control = func(network, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = setOptions(int(fd), o.list(network)) })
		return errors.Join(err, failed)
	}
	inner, err := lc.Listen(context.Background(), network, address)
	if network == "unix" && errors.Is(err, unix.EADDRINUSE) && removeStale(address) {
		inner, err = lc.Listen(context.Background(), network, address)
	}
	if err != nil {
		return nil, err // a net.OpError: names operation and address
	}
	if o.UnixMode != 0 && network == "unix" && address[0] != '@' {
		if err := os.Chmod(address, o.UnixMode); err != nil {
			return nil, errors.Join(err, inner.Close())
		}
	}
	return newListener(inner, o.Exhausted), nil
}

func (o ListenOptions) list(network string) (list []socketOption) {
	if network == "unix" {
		return nil
	}
	if o.ReusePort {
		list = append(list, socketOption{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
	}
	if o.DeferAccept > 0 {
		seconds := roundUp(o.DeferAccept, time.Second)
		list = append(list, socketOption{"TCP_DEFER_ACCEPT", unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds})
	}
	return list
}

// removeStale removes a unix socket's file if connecting to it is refused.
func removeStale(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
		return false
	}
	return errors.Is(err, unix.ECONNREFUSED) && os.Remove(path) == nil
}

// ErrNotListening says that a descriptor is not that of a stream socket which listens.
var ErrNotListening = errors.New("not a stream socket that listens")

// FromFD continues to listen on an inherited descriptor, which it takes over if that listens, and leaves alone otherwise: it
// could be anybody's. Of the options only Exhausted counts, the others are for who makes the socket. A unix socket's file is left
// in place when the Listener closes.
func FromFD(fd uintptr, o ListenOptions) (*Listener, error) {
	kind, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
	listens := 0
	if err == nil {
		listens, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	}
	if err != nil || kind != unix.SOCK_STREAM || listens == 0 {
		return nil, errors.Join(ErrNotListening, err)
	}
	file := os.NewFile(fd, fmt.Sprintf("listener %d", fd))
	inner, err := net.FileListener(file)
	if err = errors.Join(err, file.Close()); err != nil {
		if inner != nil {
			_ = inner.Close()
		}
		return nil, fmt.Errorf("listen on descriptor %d: %w", fd, err)
	}
	return newListener(inner, o.Exhausted), nil
}

func newListener(inner net.Listener, exhausted func(error)) *Listener {
	ln := &Listener{inner: inner, exhausted: exhausted, done: make(chan struct{})}
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.refillLocked()
	return ln
}

// refillLocked opens the reserve descriptor if it can.
func (ln *Listener) refillLocked() {
	if f, err := os.Open(os.DevNull); err == nil {
		ln.mu.reserve = f
	}
}

// Accept waits for the next connection. Running out of descriptors or memory is not an error: it sheds and waits. After
// Close it returns net.ErrClosed. Any goroutine, several at a time.
func (ln *Listener) Accept() (*Socket, error) {
	wait := time.Duration(0)
	for {
		c, err := ln.inner.Accept()
		if err == nil {
			return NewSocket(c), nil
		}
		if !isExhaustion(err) {
			return nil, err // a net.OpError: names operation and address
		}
		if wait == 0 && ln.exhausted != nil {
			ln.exhausted(err)
		}
		ln.shed()
		wait = min(max(2*wait, firstBackOff), longestBackOff)
		if !ln.pause(wait) {
			return nil, fmt.Errorf("accept %v: %w", ln.inner.Addr(), net.ErrClosed)
		}
	}
}

func isExhaustion(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}

// pause waits and returns false if the listener was closed meanwhile.
func (ln *Listener) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ln.done:
		return false
	}
}

// shed closes waiting clients with the reserve descriptor's place, unless there are descriptors again.
func (ln *Listener) shed() {
	sc, ok := ln.inner.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.mu.reserve == nil {
		ln.refillLocked()
		return
	}
	if spare, err := os.Open(os.DevNull); err == nil {
		_ = spare.Close()
		return
	}
	_ = ln.mu.reserve.Close()
	ln.mu.reserve = nil
	// Control fails only if the listener is closed.
	_ = raw.Control(func(fd uintptr) { ln.mu.shed += shedClients(int(fd)) })
	ln.refillLocked()
}

// shedClients accepts and closes until nobody waits.
func shedClients(listener int) (n uint64) {
	for ; n < maxShed; n++ {
		client, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err != nil {
			return n
		}
		_ = unix.Close(client)
	}
	return n
}

// Shed returns how many clients were closed unserved because there was no descriptor for them. Any goroutine.
func (ln *Listener) Shed() uint64 {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return ln.mu.shed
}

// Addr returns the address listened on. Any goroutine.
func (ln *Listener) Addr() net.Addr { return ln.inner.Addr() }

// File returns a duplicate of the descriptor, to be inherited by another process, and leaves a unix socket's file in place
// from now on. The caller closes it.
func (ln *Listener) File() (*os.File, error) {
	if u, ok := ln.inner.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	f, ok := ln.inner.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("listener %v has no descriptor", ln.inner.Addr())
	}
	return f.File()
}

// Close ends listening; an Accept under way returns net.ErrClosed. Any goroutine; it may be called again.
func (ln *Listener) Close() error {
	ln.closing.Do(func() {
		close(ln.done)
		ln.closed = ln.inner.Close()
		ln.mu.Lock()
		defer ln.mu.Unlock()
		if ln.mu.reserve != nil {
			_ = ln.mu.reserve.Close()
			ln.mu.reserve = nil
		}
	})
	return ln.closed
}
