package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
)

// readChunk is the buffer of a login in bytes: start-up packets are small, and a login reads nothing else.
const readChunk = 1024

// login is a client between accept and the end of its login. It runs on a goroutine of its own, with blocking reads under
// one deadline for the whole of it.
type login struct {
	proxy    *Proxy
	sock     *reactor.Socket
	door     *Door
	listener ListenerConfig // the door's, when it was come through; after aim as it is meant for this client
	attrs    routing.SessionAttrs
	renewals uint64 // see Renew
	id       uint64
	began    time.Time
	message  pgwire.StartupMessage
	ahead    []byte // bytes read behind the message under way
	console  atomic.Bool
	cancel   context.CancelCauseFunc // with what the client is told
	limit    int                     // which one turned it away: refusedClients …; 0 = none

	key       cancelKey     // a console's
	cancelled chan struct{} // a cancel request for a console that waits for something

	mu struct {
		sync.Mutex
		refused bool // it is told why it ends
	}
}

// newLogin begins a login; nil when the door has been closed this moment.
func (p *Proxy) newLogin(sock *reactor.Socket, d *Door) *login {
	l := &login{proxy: p, sock: sock, door: d, id: p.nextID.Add(1), began: time.Now(), cancelled: make(chan struct{})}
	l.renewals = p.renewals.Load() // before it looks at anything that a renewal is about
	now := d.config.Load()
	if now == nil {
		return nil
	}
	l.listener = *now
	return l
}

// run takes the client to the end of its login, and on to where it belongs.
func (l *login) run(parent context.Context) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	l.cancel = cancel
	stop := context.AfterFunc(ctx, l.interrupt)
	defer stop()
	if err := l.sock.SetDeadline(l.began.Add(l.proxy.config().LoginTimeout)); err != nil {
		l.sock.Close()
		return
	}
	ev, fault := l.startup()
	switch {
	case fault != nil:
		l.refuse(fault)
	case ev.Kind == pgwire.EventCancel:
		l.proxy.cancelRequest(ctx, ev.PID, ev.Key)
		l.sock.Close()
	case ev.Kind == pgwire.EventMessage:
		l.message = ev.Message
		l.nameReplication()
		if fault = l.aim(); fault != nil {
			l.refuse(fault)
			return
		}
		l.register(ctx, stop)
	default:
		l.sock.Close() // a port scan, or a client that did not like our 'N'
	}
}

// interrupt ends whatever the login reads or writes, but not what it is told at its end.
func (l *login) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.mu.refused {
		l.sock.SetDeadline(reactor.LongAgo())
	}
}

// startup reads until the client has said what it wants. SSLRequest and GSSENCRequest are answered 'N': this router has no
// TLS yet, and the default of libpq (sslmode=prefer) goes on in the clear.
func (l *login) startup() (pgwire.StartupEvent, *pgwire.Error) {
	var machine pgwire.Startup
	buf := make([]byte, readChunk)
	for {
		n, err := l.sock.Read(buf)
		for b := buf[:n]; len(b) > 0; {
			used, ev, err := machine.Feed(b)
			if err != nil {
				return ev, asFault(err)
			}
			b = b[used:]
			switch ev.Kind {
			case pgwire.EventSSLRequest, pgwire.EventGSSRequest:
				if _, err := l.sock.Write([]byte{pgwire.AnswerNone}); err != nil {
					return pgwire.StartupEvent{}, nil //nolint:nilerr // it is gone: nobody to tell, nothing to log
				}
			case pgwire.EventMessage, pgwire.EventCancel:
				l.ahead = append([]byte(nil), b...)
				return ev, nil
			case pgwire.EventNeedMore:
			}
		}
		if err != nil {
			return pgwire.StartupEvent{}, l.readFault(err, machine.EOF())
		}
	}
}

// readFault tells a client that took too long from one that went away.
func (l *login) readFault(err error, eof *pgwire.Error) *pgwire.Error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return pgwire.ErrLoginTimeout.New("")
	}
	return eof
}

func asFault(err error) *pgwire.Error {
	if e, ok := errors.AsType[*pgwire.Error](err); ok {
		return e
	}
	return pgwire.ErrProtocol.New(err.Error())
}

// refuse tells the client why it cannot come in, and closes.
func (l *login) refuse(e *pgwire.Error) {
	l.proxy.metrics.refused[l.limit].Add(1)
	l.proxy.log.Info("login refused", "remote", l.sock.RemoteAddr().String(), "user", l.message.User,
		"database", l.message.Database, "sqlstate", e.Code, "error", e.Message)
	if !e.Silent() {
		l.proxy.metrics.errorSent(e.Code)
		l.mu.Lock()
		l.mu.refused = true
		l.mu.Unlock()
		l.sock.SetDeadline(time.Now().Add(refuseLimit))
		_, _ = l.sock.Write(pgwire.AppendError(nil, e)) // a client that is gone need not be told
	}
	l.sock.Close()
}

// refuseLimit bounds the last write to a client that is refused.
const refuseLimit = time.Second

// Info describes the login (Member).
func (l *login) Info() ClientInfo {
	kind, st := "login", "login"
	if l.console.Load() {
		kind, st = "console", "active"
	}
	return ClientInfo{
		ID: l.id, Kind: kind, State: st, User: l.message.User, Database: l.message.Database, Cluster: string(l.listener.Cluster),
		Route: l.listener.Route.String(), Remote: l.sock.RemoteAddr().String(), Local: l.sock.LocalAddr().String(), Connected: l.began, Replication: l.message.Replication,
	}
}

// Close ends the login (Member).
func (l *login) Close(why event.CloseReason) { l.cancel(closeError(why)) }

// Drain ends a login: nothing of it is under way at a server. A console stays until Close, so that it can watch.
func (l *login) Drain() {
	if !l.console.Load() {
		l.cancel(pgwire.ErrShuttingDown.New(""))
	}
}

// ended is what a login is told whose context has ended.
func ended(ctx context.Context) *pgwire.Error {
	if e, ok := errors.AsType[*pgwire.Error](context.Cause(ctx)); ok {
		return e
	}
	return pgwire.ErrShuttingDown.New("")
}
