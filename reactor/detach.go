//go:build linux

package reactor

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Detached is a connection between two loops: descriptor, unsent output, read state and what its handler was still to be
// told. It belongs to whoever holds it and must end in [Loop.Adopt] or Close.
type Detached struct {
	conn    *Conn       // as it will be, without loop, handler and slot
	settled atomic.Bool // adopted or closed
}

// Detach takes c off its loop with its unsent output and read state, so that another loop can adopt it: post a task there
// that calls Adopt. No byte and no event is lost on the way. c itself is dead afterwards. It returns nil if c is closed,
// or closing, already; a connection of which Failed is due is handed over too, and fails on the other side. Loop only.
func (c *Conn) Detach() *Detached {
	if c.state != connOpen && c.state != connDying && c.state != connFailed {
		return nil
	}
	c.spill()
	c.sock.keepFed()
	next := &Conn{
		sock: c.sock, err: c.err, fd: c.fd, slot: -1, state: c.state, notices: c.notices,
		paused: c.paused, ended: c.ended, blocked: c.blocked, finWanted: c.finWanted, finSent: c.finSent,
		backlog: c.backlog, sent: c.sent, isTCP: c.isTCP, late: c.late,
	}
	if c.fd >= 0 {
		c.loop.engine.forget(c)
		c.loop.evict(c)
	}
	c.fd, c.state, c.notices, c.backlog = -1, connDetached, 0, backlog{}
	next.sock.conn = next
	return &Detached{conn: next}
}

// Adopt attaches what another loop has detached. h hears what comes from now on, in the state the old handler left: paused
// stays paused, blocked output is followed by Drained. Loop only.
func (l *Loop) Adopt(d *Detached, h Handler) *Conn {
	if d.settled.Swap(true) {
		return &Conn{loop: l, handler: h, sock: d.conn.sock, fd: -1, slot: -1, state: connClosed, sent: d.conn.sent}
	}
	c := d.conn
	c.loop, c.handler = l, h
	if c.fd >= 0 {
		l.house(c)
		l.mark(c)
	}
	if c.notices != 0 {
		l.notice(c, c.notices)
	}
	return c
}

// Sent returns the connection's count of accepted bytes. Whoever holds d may ask.
func (d *Detached) Sent() uint64 { return d.conn.sent }

// Close gives the connection up: for a Detached that no loop accepts. It does nothing after Adopt. Any goroutine.
func (d *Detached) Close() {
	if d.settled.Swap(true) {
		return
	}
	if d.conn.fd >= 0 {
		_ = unix.Close(int(d.conn.fd))
	}
}
