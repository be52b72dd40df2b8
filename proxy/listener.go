package proxy

import (
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
)

// errClosed says that the proxy takes no more listeners.
var errClosed = errors.New("proxy: closed")

// Door is a listener through which clients come. Its methods may be called from any goroutine.
type Door struct {
	proxy    *Proxy
	listener *reactor.Listener
	address  string
	config   atomic.Pointer[ListenerConfig] // nil: it is closed
}

// Serve accepts clients on ln until the door is closed or the proxy shuts down. It takes ownership of ln and returns at once.
func (p *Proxy) Serve(ln *reactor.Listener, cfg ListenerConfig) (*Door, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return nil, errClosed
	}
	d := &Door{proxy: p, listener: ln, address: cfg.Address}
	d.config.Store(&cfg)
	p.mu.doors = append(p.mu.doors, d)
	p.wg.Go(func() { p.accept(d) })
	return d, nil
}

// Address returns where clients connect.
func (d *Door) Address() string { return d.address }

// Change lets the door lead elsewhere, or by other rules. For who is in already that counts after Proxy.Renew.
func (d *Door) Change(cfg ListenerConfig) { d.config.Store(&cfg) }

// aimed returns where the door leads a client that wants nodes of a kind; nil: it is closed.
func (d *Door) aimed(attrs routing.SessionAttrs) *ListenerConfig {
	now := d.config.Load()
	if now == nil {
		return nil
	}
	aimed := now.aimed(attrs)
	return &aimed
}

// Close stops accepting. Who is in already stays until Proxy.Renew.
func (d *Door) Close() error {
	d.config.Store(nil)
	p := d.proxy
	p.mu.Lock()
	p.mu.doors = slices.DeleteFunc(p.mu.doors, func(x *Door) bool { return x == d })
	p.mu.Unlock()
	return d.listener.Close()
}

// accept takes one client after the other. The listener itself backs off when descriptors run out.
func (p *Proxy) accept(d *Door) {
	for {
		sock, err := d.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			p.log.Warn("accept failed", "address", d.address, "error", err)
			continue
		}
		p.metrics.accepted.Add(1)
		if err := reactor.DefaultSocketOptions().Apply(sock); err != nil {
			p.log.Debug("socket options", "error", err)
		}
		if !p.admit(sock, d) {
			sock.Close()
		}
	}
}

// admit starts the login of a client, unless there are too many.
func (p *Proxy) admit(sock *reactor.Socket, d *Door) bool {
	if p.draining.Load() {
		return false
	}
	if p.logins.Add(1) > int64(p.config().MaxLogins) {
		p.logins.Add(-1)
		p.metrics.refused[refusedLogins].Add(1)
		p.tellFull(sock)
		return false
	}
	l := p.newLogin(sock, d)
	if l == nil {
		p.logins.Add(-1)
		return false
	}
	p.wg.Go(func() {
		defer p.logins.Add(-1)
		l.run(p.ctx)
	})
	return true
}

// tellFull says why a client is not even heard, as PostgreSQL does when it cannot fork: before its start-up packet was read, so
// that it costs neither a goroutine nor a wait. The few bytes fit the buffer of a new connection.
func (p *Proxy) tellFull(sock *reactor.Socket) {
	e := pgwire.ErrTooManyLogins.New("")
	p.metrics.errorSent(e.Code)
	sock.SetDeadline(time.Now().Add(refuseLimit))
	_, _ = sock.Write(pgwire.AppendError(nil, e)) // it is closed in any case
}

// outOfDescriptors is what listeners report when the process has no descriptor left.
func (p *Proxy) outOfDescriptors(error) {
	p.deps.Events.Emit(event.Event{Kind: event.AcceptPaused, Reason: "out of file descriptors"})
}

// ListenOptions returns how the proxy wants its listeners made.
func (p *Proxy) ListenOptions() reactor.ListenOptions {
	return reactor.ListenOptions{Exhausted: p.outOfDescriptors}
}
