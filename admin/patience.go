package admin

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/reactor"
)

// Why a command that waits was ended.
var (
	errCancelled = errors.New("canceled by the client")
	errGone      = errors.New("the client has gone")
)

// keenConn is the connection of a console client. While a command waits it is listened to for its end, which a goroutine that
// only waits would not notice.
type keenConn struct {
	net.Conn
	ahead []byte // what came meanwhile
}

// Read reads what came while a command waited first.
func (c *keenConn) Read(b []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// attend makes a context for a command that waits: it ends with its parent, when the client cancels and when it goes away. The
// cause tells which. stop ends the watch, and must be called before anything else is read.
func (s *consoleSession) attend(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	var watch sync.WaitGroup
	watch.Go(func() { s.hearCancel(ctx, cancel) })
	deaf := proxy.Heed(s.conn.Conn, &s.conn.ahead, func() { cancel(errGone) })
	return ctx, func() {
		cancel(nil)
		deaf()
		watch.Wait()
		if parent.Err() != nil { // the server closes, and its deadline was undone a moment ago
			_ = s.conn.SetReadDeadline(reactor.LongAgo()) // fails where the connection is gone, which the next read tells
		}
	}
}

// hearCancel hears a cancel request.
func (s *consoleSession) hearCancel(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-s.cancelled:
		cancel(errCancelled)
	case <-ctx.Done():
	}
}
