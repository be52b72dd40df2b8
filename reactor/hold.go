//go:build linux

package reactor

import "unsafe"

const (
	maxHeld   = 64       // connections whose output is held at a time
	keptBytes = 16 << 10 // what may be copied so that it can be held
)

// held is the output of a turn's connections that has not left yet: the kernel gets all of it in one go. Sends that follow each other find
// their code in the processor's caches; between receives and handlers each would have to fetch it again. What a handler has sent is
// held until the turn's other connections have been heard or there is no room for more, never over a turn's end.
type held struct {
	conns    int    // so many of Loop.unsettled
	received int    // so much of the scratch buffer may be borrowed
	kept     []byte // copies of what was borrowed from elsewhere
	overdue  bool   // a connection of these was let go, and may have got more to send
}

// room is the part of the scratch buffer for the next receive: behind what is held.
func (l *Loop) room() []byte { return l.scratch[l.held.received:] }

// full says that what is held has to leave before the next receive, which is given half of the scratch buffer at least.
func (l *Loop) full() bool { return l.held.received > len(l.scratch)/2 }

// hold is called after a handler has been given the next n bytes of the scratch buffer. What it has sent waits for the turn's other
// connections, unless somebody's handler has to be told something before, or it cannot be kept.
func (l *Loop) hold(n int) {
	const line = 64 // what is received begins on a cache line of its own
	h := &l.held
	h.received = min((h.received+n+line-1)&^(line-1), len(l.scratch))
	if h.overdue || l.noticed < len(l.notices) || len(l.unsettled) >= maxHeld {
		l.settle()
		return
	}
	for _, c := range l.unsettled[h.conns:] {
		if !l.keep(c) {
			l.settle()
			return
		}
		c.held = true
	}
	h.conns = len(l.unsettled)
}

// keep lets what c has borrowed outlive the callback: what lies in the scratch buffer stays there, anything else is copied. It returns
// false where there is no room for it.
func (l *Loop) keep(c *Conn) bool {
	ok := l.keepPiece(&c.first)
	for i := range c.more {
		ok = ok && l.keepPiece(&c.more[i])
	}
	return ok
}

func (l *Loop) keepPiece(b *[]byte) bool {
	h := &l.held
	switch {
	case len(*b) == 0 || within(l.scratch, *b):
		return true
	case len(*b) > cap(h.kept)-len(h.kept):
		return false
	}
	from := len(h.kept)
	h.kept = append(h.kept, *b...)
	*b = h.kept[from:len(h.kept):len(h.kept)]
	return true
}

// within says whether b begins in a's memory.
func within(a, b []byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))-uintptr(unsafe.Pointer(unsafe.SliceData(a))) < uintptr(len(a))
}

// letGo sends what is held of c's: something follows it in this callback.
func (l *Loop) letGo(c *Conn) {
	c.held, l.held.overdue = false, true
	l.transmit(c)
}

// release sends what is held.
func (l *Loop) release() {
	if l.held.received > 0 {
		l.settle()
	}
}

// clear forgets what was held: it has left.
func (h *held) clear() { h.conns, h.received, h.kept, h.overdue = 0, 0, h.kept[:0], false }
