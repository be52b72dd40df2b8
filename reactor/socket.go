//go:build linux

package reactor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socketCloseLimit is how long a Close on an attached Socket waits for its output; crypto/tls closes right after its last
// alert.
const socketCloseLimit = time.Second

// ErrAttached is the error of a Socket that is not in blocking mode any more.
var ErrAttached = errors.New("socket is attached to a loop")

// wouldBlock is the answer of Read on a loop when no bytes are there. It is a temporary net.Error: crypto/tls keeps a
// partial record and goes on with the next Read.
type wouldBlock struct{} //nolint:errname // EWOULDBLOCK: the name it has everywhere

func (wouldBlock) Error() string   { return "no bytes are there yet" }
func (wouldBlock) Timeout() bool   { return false }
func (wouldBlock) Temporary() bool { return true }

// IsWouldBlock says whether err is what Read on a loop answers when no bytes are there, perhaps wrapped by crypto/tls.
func IsWouldBlock(err error) bool {
	//nolint:errorlint // what crypto/tls returns in the usual case; errors.As would cost reflection on the hot path
	if _, ok := err.(wouldBlock); ok {
		return true
	}
	var e wouldBlock
	return errors.As(err, &e)
}

// LongAgo returns a deadline that makes what is blocked on a connection return at once.
func LongAgo() time.Time { return time.Unix(1, 0) }

// Socket is a connection of two modes. It begins as an ordinary blocking net.Conn, for accept, TLS handshake and login on a
// goroutine. [Loop.Attach] moves it to a loop; then Read answers a temporary net.Error when no bytes are there and Write
// appends to the connection's output, so that a tls.Conn which wrapped the Socket before its handshake keeps working: the
// handler feeds it what it receives (Feed) and reads until IsWouldBlock.
//
// A Socket is used by one goroutine at a time, or in blocking mode by one that reads and one that writes.
type Socket struct {
	inner  net.Conn // blocking mode; nil on a loop
	conn   *Conn    // on a loop; nil in blocking mode, between loops and after the end
	unread []byte   // read too far in blocking mode
	fed    []byte   // on a loop: given to Feed and not read yet; may be borrowed from the scratch buffer
	kept   bool     // fed is the Socket's own copy
	local  net.Addr
	remote net.Addr
}

var _ net.Conn = (*Socket)(nil)

// NewSocket wraps c, a *net.TCPConn or *net.UnixConn, and owns it from now on. Another kind of connection works in blocking
// mode and fails when it is attached.
func NewSocket(c net.Conn) *Socket {
	return &Socket{inner: c, local: c.LocalAddr(), remote: c.RemoteAddr()}
}

// Unread gives back bytes that were read too far. They come again first, from Read, or as the first Received once s is
// attached. b is copied.
func (s *Socket) Unread(b []byte) {
	s.unread = append(append(make([]byte, 0, len(b)+len(s.unread)), b...), s.unread...)
}

// Feed gives s bytes that its handler has received, for the next Reads. b may be borrowed from the loop: what is not read
// when the callback returns is copied. Loop only.
func (s *Socket) Feed(b []byte) {
	if len(s.fed) == 0 {
		s.fed, s.kept = b, false
		if s.conn != nil {
			s.conn.fed = true
		}
		return
	}
	s.keepFed()
	s.fed = append(s.fed, b...)
}

// keepFed makes what is left of the fed bytes the Socket's own.
func (s *Socket) keepFed() {
	if !s.kept && len(s.fed) > 0 {
		s.fed, s.kept = append([]byte(nil), s.fed...), true
	}
}

// Read reads from the peer in blocking mode, and what was fed on a loop.
func (s *Socket) Read(b []byte) (int, error) {
	if s.inner != nil {
		if len(s.unread) > 0 {
			n := copy(b, s.unread)
			s.unread = s.unread[n:]
			return n, nil
		}
		return s.inner.Read(b)
	}
	if len(s.fed) > 0 {
		n := copy(b, s.fed)
		s.fed = s.fed[n:]
		if len(s.fed) == 0 {
			s.fed, s.kept = nil, false
		}
		return n, nil
	}
	switch {
	case s.conn == nil || s.conn.state >= connLingering:
		return 0, net.ErrClosed
	case s.conn.ended:
		return 0, io.EOF
	default:
		return 0, wouldBlock{}
	}
}

// Write writes to the peer in blocking mode, and appends a copy of b to the connection's output on a loop.
func (s *Socket) Write(b []byte) (int, error) {
	if s.inner != nil {
		return s.inner.Write(b)
	}
	if s.conn == nil || s.conn.state != connOpen || s.conn.finWanted {
		return 0, net.ErrClosed
	}
	s.conn.sendCopy(b)
	return len(b), nil
}

// Close closes the connection; on a loop after what was written is out, for at most a second.
func (s *Socket) Close() error {
	switch {
	case s.inner != nil:
		return s.inner.Close()
	case s.conn != nil:
		s.conn.CloseAfterFlush(socketCloseLimit)
	}
	return nil
}

// LocalAddr returns our own address. Any goroutine.
func (s *Socket) LocalAddr() net.Addr { return s.local }

// RemoteAddr returns the peer's address. Any goroutine.
func (s *Socket) RemoteAddr() net.Addr { return s.remote }

// SetDeadline bounds Read and Write in blocking mode. On a loop nothing blocks and it does nothing.
func (s *Socket) SetDeadline(t time.Time) error {
	if s.inner == nil {
		return nil
	}
	return s.inner.SetDeadline(t)
}

// SetReadDeadline bounds Read in blocking mode. On a loop it does nothing.
func (s *Socket) SetReadDeadline(t time.Time) error {
	if s.inner == nil {
		return nil
	}
	return s.inner.SetReadDeadline(t)
}

// SetWriteDeadline bounds Write in blocking mode. On a loop it does nothing.
func (s *Socket) SetWriteDeadline(t time.Time) error {
	if s.inner == nil {
		return nil
	}
	return s.inner.SetWriteDeadline(t)
}

// leave ends blocking mode: the descriptor is duplicated and the original closed, which takes it out of Go's poller. On
// failure the connection is closed.
func (s *Socket) leave(c *Conn) (fd int, err error) {
	if s.inner == nil {
		return -1, fmt.Errorf("attach %v: %w", s.remote, ErrAttached)
	}
	inner := s.inner
	s.inner, s.conn = nil, c
	fd, err = duplicate(inner)
	if closing := inner.Close(); err == nil && closing != nil {
		_ = unix.Close(fd)
		err = closing
	}
	if err != nil {
		s.conn = nil
		return -1, fmt.Errorf("attach %v: %w", s.remote, err)
	}
	return fd, nil
}

// duplicate returns a second descriptor of c.
func duplicate(c net.Conn) (fd int, err error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("a %T has no descriptor", c)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd = -1
	var failed error
	err = raw.Control(func(original uintptr) {
		fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil && failed != nil {
		err = fmt.Errorf("dup: %w", failed)
	}
	return fd, err
}

// unbind ends the Socket with its connection.
func (s *Socket) unbind() {
	s.conn, s.fed, s.unread = nil, nil, nil
}
