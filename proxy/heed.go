package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/reactor"
)

// errGone is why a login ends whose client went away while it waited.
var errGone = errors.New("proxy: the client has gone")

const (
	heedChunk = 1024      // how much is read at once, in bytes
	heedLimit = 64 * 1024 // how much a client may send ahead before it is not listened to any more
)

// heed makes a context that also ends, with errGone, when the client goes away: during an outage clients connect again and again,
// and those that have given up must not fill max_logins and the queue. stop ends the watch, and must be called before anything else
// is read. What the client sends meanwhile is kept: who has sent work before the end may wait for its answer.
func (l *login) heed(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	deaf := Heed(l.sock, &l.ahead, func() {
		if len(l.ahead) == 0 {
			cancel(errGone)
		}
	})
	return ctx, func() {
		deaf()
		cancel(nil)
	}
}

// Heed listens for the end of a client that waits, on a goroutine of its own, which calls gone then. What the client sends
// meanwhile is appended to ahead; one that sends too much of it is not listened to any more. stop ends the listening and clears
// the read deadline. It must be called before ahead is looked at or anything else is read.
func Heed(conn net.Conn, ahead *[]byte, gone func()) (stop func()) {
	var watch sync.WaitGroup
	watch.Go(func() {
		if hearEnd(conn, ahead) {
			gone()
		}
	})
	return func() {
		_ = conn.SetReadDeadline(reactor.LongAgo()) // cannot be set where the connection is gone, which ends the listening too
		watch.Wait()
		_ = conn.SetReadDeadline(time.Time{})
	}
}

// hearEnd reads until the connection ends, which it reports, or its deadline is over.
func hearEnd(conn net.Conn, ahead *[]byte) bool {
	chunk := make([]byte, heedChunk)
	for len(*ahead) < heedLimit {
		n, err := conn.Read(chunk)
		*ahead = append(*ahead, chunk[:n]...)
		if err != nil {
			var timeout net.Error
			return !errors.As(err, &timeout) || !timeout.Timeout()
		}
	}
	return false
}
