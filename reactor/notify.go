//go:build linux

package reactor

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
)

// PanicError is what Failed gets when a handler of its connection panicked. It carries no data of the session.
type PanicError struct{ Cause string }

// Error names the cause.
func (e *PanicError) Error() string { return "panic in a connection's handler: " + e.Cause }

// notice puts n on the list of what c's handler is to be told.
func (l *Loop) notice(c *Conn, n noticeSet) {
	c.notices |= n
	if !c.listed {
		c.listed = true
		l.notices = append(l.notices, c)
	}
}

// tell calls c's handler for the first thing it does not know yet.
func (l *Loop) tell(c *Conn) {
	next := c.notices & -c.notices
	c.notices &^= next
	if c.notices != 0 {
		l.notice(c, c.notices)
	}
	switch next {
	case noticeUnread:
		l.tellUnread(c)
	case noticeBlocked:
		l.callBlocked(c)
	case noticeDrained:
		l.callDrained(c)
	case noticeLastWords:
		l.tellLastWords(c)
	case noticeFailed:
		c.dispose(connClosed)
		l.callFailed(c, c.err)
	}
}

// tellUnread delivers what the socket carried from blocking mode, unless reading is paused: ResumeRead asks again.
func (l *Loop) tellUnread(c *Conn) {
	if c.state != connOpen || c.paused {
		return
	}
	b := c.sock.unread
	c.sock.unread = nil
	if len(b) > 0 {
		l.callReceived(c, b)
	}
}

// tellLastWords reads one more piece from a connection that cannot be written to any more, and fails it when there is none.
func (l *Loop) tellLastWords(c *Conn) {
	if c.state != connDying {
		return
	}
	if len(c.sock.unread) > 0 {
		if !c.paused {
			l.notice(c, noticeLastWords)
			b := c.sock.unread
			c.sock.unread = nil
			l.callReceived(c, b)
		}
		return
	}
	if c.paused {
		if n, errno := l.engine.peek(c); n == 0 || errno != 0 {
			c.fail(c.err)
		}
		return // ResumeRead asks again
	}
	n, errno := l.engine.receive(c, l.scratch)
	if n == 0 || errno != 0 {
		c.fail(c.err)
		return
	}
	l.notice(c, noticeLastWords)
	l.callReceived(c, l.scratch[:n])
}

// The engine's reports. Each calls the handler and settles, or holds what is to leave.

// received delivers bytes that lie in the scratch buffer's room.
func (l *Loop) received(c *Conn, b []byte) {
	l.callReceived(c, b)
	if l.many {
		l.hold(len(b))
	} else {
		l.settle()
	}
}

// peerEnded reports the peer's FIN.
func (l *Loop) peerEnded(c *Conn) {
	c.ended = true
	l.mark(c)
	l.callEnded(c)
	l.settle()
}

// writable goes on with the backlog.
func (l *Loop) writable(c *Conn) {
	l.drain(c)
	l.mark(c)
	l.settle()
}

// broken reports a failed receive.
func (l *Loop) broken(c *Conn, operation string, err error) {
	c.fail(c.wrap(operation, err))
	l.settle()
}

func (c *Conn) wrap(operation string, err error) error {
	if addr := c.sock.remote; addr != nil && addr.String() != "" {
		return fmt.Errorf("%s %s: %w", operation, addr, err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}

func (l *Loop) callReceived(c *Conn, b []byte) {
	defer l.recovered(c)
	l.count.BytesIn += uint64(len(b))
	c.handler.Received(c, b)
	if c.fed { // the scratch buffer will be used again
		c.fed = false
		c.sock.keepFed()
	}
}

func (l *Loop) callEnded(c *Conn) {
	defer l.recovered(c)
	c.handler.Ended(c)
}

func (l *Loop) callBlocked(c *Conn) {
	if c.state == connOpen {
		defer l.recovered(c)
		c.handler.Blocked(c)
	}
}

func (l *Loop) callDrained(c *Conn) {
	if c.state == connOpen || c.state == connDying {
		defer l.recovered(c)
		c.handler.Drained(c)
	}
}

func (l *Loop) callFailed(c *Conn, err error) {
	defer l.recovered(c)
	c.handler.Failed(c, err)
}

// recovered is deferred around every callback: it turns a panic into the end of the connection concerned, if there is one.
// What was sent before the panic, perhaps for other sessions, still leaves.
func (l *Loop) recovered(c *Conn) {
	p := recover()
	if p == nil {
		return
	}
	cause := panicCause(p)
	l.count.Panics++
	l.log.Error("handler panicked", slog.Int("loop", l.id), slog.String("cause", cause), slog.String("stack", string(debug.Stack())))
	if c != nil && c.state != connClosed && c.state != connDetached && c.state != connFailed {
		c.fail(&PanicError{Cause: cause})
	}
}

// panicCause describes p without quoting a value that might hold a session's data.
func panicCause(p any) string {
	if e, ok := p.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("a value of type %T", p)
}
