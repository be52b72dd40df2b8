//go:build linux

package reactor

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Handler is told what happens to a connection. Its methods run on the connection's loop, must not block, and may call any
// method of any connection of that loop. None is called from inside such a method: they come when the current callback has
// returned, and what was sent to their own connection is flushed. A panic in one of them closes the connection and is reported by Failed.
type Handler interface {
	// Received hands over bytes from the peer. b belongs to the loop and is valid during the call only, except that Send
	// may be given parts of it.
	Received(c *Conn, b []byte)
	// Ended says that the peer has shut down its writing side and that all bytes before were received. Writing goes on. It
	// may also come to a paused connection, when nothing is left to be read.
	Ended(c *Conn)
	// Blocked says that the kernel did not take all of what was sent. The rest was copied and leaves when it can; the
	// handler should stop the source.
	Blocked(c *Conn)
	// Drained follows Blocked when the kernel has taken everything, or nothing more can be sent: then the connection is not
	// Open, and Failed follows when the peer's last words were received.
	Drained(c *Conn)
	// Failed says that the connection broke: reset, time-out, a failed attach, a panic in a handler. It is closed already;
	// nothing follows. Bytes that had arrived before were received first.
	Failed(c *Conn, err error)
}

// connState is where a connection stands.
type connState uint8

const (
	connOpen      connState = iota // → dying, lingering, failed, closed, detached
	connDying                      // sending failed; what the peer said last is being read → failed, closed, detached
	connLingering                  // output is leaving, nobody is told → closed
	connFailed                     // descriptor closed, Failed is due → closed, detached
	connClosed                     // the end
	connDetached                   // lives on elsewhere, as another Conn
)

// noticeSet holds what a handler is yet to be told, in the order of telling.
type noticeSet uint8

const (
	noticeUnread noticeSet = 1 << iota // bytes carried over from blocking mode
	noticeBlocked
	noticeDrained
	noticeLastWords // read on, then fail
	noticeFailed
)

// Conn is a socket on a loop. Its methods belong to the loop's goroutine, except RemoteAddr and LocalAddr. After Close,
// Abort, CloseAfterFlush, Detach or Failed they do nothing.
//
// What each turn touches stands in the first two cache lines: with many connections their first touch is what our own part of
// a turn costs.
type Conn struct {
	loop    *Loop
	handler Handler
	fd      int32
	slot    int32

	state   connState
	notices noticeSet
	listed  bool // in loop.notices
	marked  bool // in loop.unsettled
	held    bool // what it has to send is from an earlier callback of this turn

	paused    bool // the handler wants no bytes
	ended     bool // the peer's FIN was seen
	blocked   bool // the kernel took less than it was given; backlog is not empty
	finWanted bool // CloseWrite was called
	finSent   bool
	fed       bool // the handler has fed sock in this callback
	isTCP     bool
	late      bool  // what it receives is handled last in a turn
	watch     watch // the engine's own
	sent      uint64

	first   []byte   // the first piece sent in this callback, borrowed
	backlog backlog  // copied output; leaves before first and more
	more    [][]byte // the other pieces, borrowed

	sock    *Socket
	err     error // why it is dying or failed
	linger  *linger
	silence silence
}

// Attach takes ownership of s, which must not be in use by any other goroutine, and moves it to the loop. What s carries
// (see Socket.Unread) is the first Received, right after the current callback. If it cannot be attached, Failed is called
// then. Loop only.
func (l *Loop) Attach(s *Socket, h Handler) *Conn {
	c := &Conn{loop: l, handler: h, sock: s, fd: -1, slot: -1}
	fd, err := s.leave(c)
	if err != nil {
		c.state, c.err = connFailed, err
		l.notice(c, noticeFailed)
		return c
	}
	c.fd = int32(fd)
	_, c.isTCP = s.local.(*net.TCPAddr)
	l.house(c)
	if len(s.unread) > 0 {
		l.notice(c, noticeUnread)
	}
	l.mark(c)
	return c
}

// Loop returns the loop that c is, or was, attached to. Any goroutine.
func (c *Conn) Loop() *Loop { return c.loop }

// Open says whether the connection is attached and can be sent to. It is false from the moment it is closed, closing,
// failed or detached, even if Failed has not been called yet.
func (c *Conn) Open() bool { return c.state == connOpen }

// SetHandler lets h hear what comes from now on.
func (c *Conn) SetHandler(h Handler) { c.handler = h }

// SetLate says whether what c receives is handled after what the turn's other connections have received. The end of its peer is
// handled with theirs. Who relays lets answers be late: a query that is passed on first is worked at meanwhile.
func (c *Conn) SetLate(late bool) { c.late = late }

// RemoteAddr returns the peer's address. Any goroutine.
func (c *Conn) RemoteAddr() net.Addr { return c.sock.remote }

// LocalAddr returns our own address. Any goroutine.
func (c *Conn) LocalAddr() net.Addr { return c.sock.local }

// Sent returns how many bytes the kernel has accepted since the connection was attached; a hand-over to another loop does
// not reset it. It stays readable after the end. If it has not changed, nothing has left.
func (c *Conn) Sent() uint64 { return c.sent }

// Unsent returns how many bytes were sent, or copied, that the kernel has not accepted.
func (c *Conn) Unsent() int {
	n := c.backlog.size + len(c.first)
	for _, b := range c.more {
		n += len(b)
	}
	return n
}

// Blocked says whether output waits until the kernel takes more. Drained will follow.
func (c *Conn) Blocked() bool { return c.blocked }

// PauseRead stops Received until ResumeRead.
func (c *Conn) PauseRead() { c.paused = true }

// ResumeRead ends PauseRead.
func (c *Conn) ResumeRead() {
	if !c.paused {
		return
	}
	c.paused = false
	switch c.state {
	case connOpen:
		if len(c.sock.unread) > 0 {
			c.loop.notice(c, noticeUnread)
		}
		if c.watch.resume() {
			c.loop.mark(c)
		}
	case connDying:
		c.loop.notice(c, noticeLastWords)
	default: // nothing is read any more
	}
}

// CloseWrite sends FIN when everything sent before is out. Later Sends are dropped.
func (c *Conn) CloseWrite() {
	if c.state == connOpen && !c.finWanted {
		c.finWanted = true
		c.loop.mark(c)
	}
}

// Close closes at once. Unsent output is dropped and no callback follows.
func (c *Conn) Close() { c.dispose(connClosed) }

// Abort closes at once with RST instead of FIN. No callback follows.
func (c *Conn) Abort() {
	c.takeBack()
	c.Close()
}

// takeBack lets the kernel forget, when c is closed, what was sent and has not arrived. It would send that for minutes otherwise, to a peer that
// may be back by then.
func (c *Conn) takeBack() {
	if c.fd >= 0 {
		// Where it fails (unix sockets), closing is what is left to do.
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
}

// CloseAfterFlush closes when everything sent before is out, or when the limit is over. No callback follows.
func (c *Conn) CloseAfterFlush(limit time.Duration) {
	if c.state != connOpen {
		if c.state != connLingering {
			c.Close()
		}
		return
	}
	c.state, c.notices = connLingering, 0
	c.linger = &linger{conn: c, limit: limit}
	c.linger.timer.SetTarget(c.linger)
	c.loop.mark(c)
}

// linger is the patience of CloseAfterFlush. The timer is armed only if the first attempt leaves something behind.
type linger struct {
	timer Timer
	conn  *Conn
	limit time.Duration
}

// Expired gives up.
func (g *linger) Expired(*Loop, *Timer) { g.conn.Close() }

// dispose closes the descriptor, if there is one, and brings c into one of its last states. Nothing that was due is told.
func (c *Conn) dispose(last connState) {
	if c.held {
		c.loop.letGo(c)
	}
	c.notices = 0
	if c.state == connClosed || c.state == connDetached {
		return
	}
	c.state = last
	if c.linger != nil {
		c.loop.Disarm(&c.linger.timer)
		c.linger = nil
	}
	c.dropOutput()
	if c.fd >= 0 {
		c.loop.engine.forget(c)
		c.loop.evict(c)
		_ = unix.Close(int(c.fd)) // nothing could be done about it
		c.fd = -1
	}
	if last == connClosed {
		c.sock.unbind()
	}
}

// fail closes c and lets the handler know, when the current callback is over.
func (c *Conn) fail(err error) {
	if c.state == connLingering {
		c.Close()
		return
	}
	c.dispose(connFailed)
	c.err = err
	c.loop.notice(c, noticeFailed)
}

// sendFailed ends writing. The peer's last words may still be unread: they are fetched before Failed is told.
func (c *Conn) sendFailed(err error) {
	c.dropOutput()
	waits := c.blocked && c.notices&noticeBlocked == 0
	c.blocked = false
	c.notices &^= noticeBlocked
	if c.state != connOpen || c.ended {
		c.fail(err)
		return
	}
	c.state, c.err = connDying, err
	c.loop.engine.forget(c)
	if waits { // whoever holds back for this connection may hold up what its own reading waits for
		c.loop.notice(c, noticeDrained)
	}
	c.loop.notice(c, noticeLastWords)
}

// settleConn flushes c's output and brings everything in line with what was asked for since the last time.
func (l *Loop) settleConn(c *Conn) {
	if c.state != connOpen && c.state != connLingering {
		return
	}
	l.transmit(c)
	if c.state != connOpen && c.state != connLingering {
		return
	}
	if c.backlog.size == 0 {
		if c.state == connLingering {
			l.finishLinger(c)
			return
		}
		if c.finWanted && !c.finSent {
			c.finSent = true
			_ = unix.Shutdown(int(c.fd), unix.SHUT_WR) // a dead peer shows up when reading
		}
	} else if g := c.linger; g != nil && !g.timer.Armed() {
		l.Arm(&g.timer, g.limit)
	}
	if err := l.engine.watch(c); err != nil {
		c.fail(err)
	}
}

// lingerReads bounds how much unread input is thrown away before closing.
const lingerReads = 4

// finishLinger closes c after its last byte went out. Input that nobody reads any more is thrown away first: closing over
// unread bytes sends RST, which may overtake the last words in the peer's kernel.
func (l *Loop) finishLinger(c *Conn) {
	sink := l.chunks.borrow()
	for range lingerReads {
		if n, errno := l.engine.receive(c, sink.data[:]); n < len(sink.data) || errno != 0 {
			break
		}
	}
	l.chunks.giveBack(sink)
	c.Close()
}
