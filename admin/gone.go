package admin

import (
	"context"
	"net"
	"net/http"
	"syscall"
)

// connKey is where a request's context has its connection.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// goneAlready reports whether who has sent a request has hung up by now. A router that was frozen, or had no processor, reads late what
// waited in its sockets: who has given up must not see the primary moved later. The request's own context learns of it some time after.
func goneAlready(r *http.Request) bool {
	c, ok := r.Context().Value(connKey{}).(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		n, _, fault := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = n == 0 && fault == nil || fault == syscall.ECONNRESET
	})
	return gone || err != nil
}
