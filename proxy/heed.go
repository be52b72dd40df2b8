package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// errGone is why a login ends whose client went away while it waited.
var errGone = errors.New("proxy: the client has gone")

const (
	heedChunk = 1024      // how much is read at once, in bytes
	heedLimit = 64 * 1024 // how much a client may send ahead before it is not listened to any more
)

// longAgo is a deadline that makes a read return at once.
var longAgo = time.Unix(1, 0)

// heed makes a context that also ends, with errGone, when the client goes away: during an outage clients connect again and again,
// and those that have given up must not fill max_logins and the queue. stop ends the watch, and must be called before anything else
// is read. What the client sends meanwhile is kept.
func (l *login) heed(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { l.listen(cancel) })
	return ctx, func() {
		l.sock.SetReadDeadline(longAgo)
		watch.Wait()
		l.sock.SetReadDeadline(time.Time{})
		cancel(nil)
	}
}

// listen reads until the connection ends, or its deadline is over. Who has sent work before the end may wait for its answer.
func (l *login) listen(gone context.CancelCauseFunc) {
	chunk := make([]byte, heedChunk)
	for len(l.ahead) < heedLimit {
		n, err := l.sock.Read(chunk)
		l.ahead = append(l.ahead, chunk[:n]...)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return
		case err != nil:
			if len(l.ahead) == 0 {
				gone(errGone)
			}
			return
		}
	}
}
