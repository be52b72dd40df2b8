package admin

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Why a command that waits was ended.
var (
	errCancelled = errors.New("canceled by the client")
	errGone      = errors.New("the client has gone")
)

// keenConn is the connection of a console client. While a command waits it listens for the end of the connection, which a
// goroutine that only waits would not notice.
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

// listen reads until the connection ends or its deadline is over, and calls gone in the first case. It stops when a client
// sends more than one message's worth ahead.
func (c *keenConn) listen(gone func(error)) {
	chunk := make([]byte, listenChunk)
	for len(c.ahead) < consoleMessageLimit {
		n, err := c.Conn.Read(chunk)
		c.ahead = append(c.ahead, chunk[:n]...)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return
		case err != nil:
			gone(errGone)
			return
		}
	}
}

// listenChunk is how much is read at once, in bytes.
const listenChunk = 1024

// attend makes a context for a command that waits: it ends with its parent, when the client cancels and when it goes away. The
// cause tells which. stop ends the watch, and must be called before anything else is read.
func (s *consoleSession) attend(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	var watch sync.WaitGroup
	watch.Go(func() { s.conn.listen(cancel) })
	watch.Go(func() { s.hearCancel(ctx, cancel) })
	return ctx, func() {
		cancel(nil)
		s.deadline(time.Unix(1, 0))
		watch.Wait()
		s.deadline(time.Time{})
		if parent.Err() != nil { // the server closes, and its deadline was undone a moment ago
			s.deadline(time.Unix(1, 0))
		}
	}
}

// deadline of what is read. When it cannot be set the connection is gone, which the next read tells.
func (s *consoleSession) deadline(t time.Time) { _ = s.conn.SetReadDeadline(t) }

// hearCancel hears a cancel request.
func (s *consoleSession) hearCancel(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-s.cancelled:
		cancel(errCancelled)
	case <-ctx.Done():
	}
}
