package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/reactor"
)

// Dial connects to the target, logs in and admits the connection. Every error is a [Failure]: a *DialError or an
// *AdmissionError; the connection is closed then. Dial returns soon after ctx has ended, whatever the server does, but for
// the fraction of a second that deriving keys from a password may take.
func Dial(ctx context.Context, cfg Config, t Target, l Login) (*Conn, error) {
	cfg = cfg.withDefaults()
	minor := askedMinor(cfg, t)
	packet, err := l.checked(cfg, t).restrained(t).startupPacket(minor)
	if err != nil {
		return nil, &DialError{Op: OpLogin, Node: t.Node, Address: t.Address, Err: err, permanent: true}
	}
	raw, failed := connect(ctx, cfg, t)
	if failed != nil {
		return nil, failed
	}
	socket := reactor.NewSocket(raw)
	c := &Conn{Socket: socket, Target: t}
	s := newConversation(socket, c, auth.NewServerLogin(l.User, l.Secret))
	s.pooler, s.minor = cfg.Pooler, minor
	err = bounded(ctx, cfg.LoginTimeout, socket, func() error { return s.open(packet, l.isReplication()) })
	if err != nil {
		_ = socket.Close()
		return nil, s.failure(err)
	}
	if rest := s.in.rest(); len(rest) > 0 {
		socket.Unread(rest)
	}
	c.CreatedAt = time.Now()
	c.Local, c.Remote = c.Socket.LocalAddr().String(), c.Socket.RemoteAddr().String()
	return c, nil
}

// bounded runs f, which reads and writes c and nothing else, until it returns, ctx ends or limit is over; f returns soon
// after. If the time was over the result is the reason, even if f ended well: the connection is of no use then. Otherwise c
// has no deadline afterwards.
func bounded(ctx context.Context, limit time.Duration, c net.Conn, f func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v: %w", limit, context.DeadlineExceeded))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(reactor.LongAgo()) })
	err := f()
	if stop() {
		return err
	}
	if _, ok := errors.AsType[*refusal](err); ok {
		return err // the server's answer was there before the end
	}
	return context.Cause(ctx)
}
