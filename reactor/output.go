//go:build linux

package reactor

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	chunkBytes    = 16<<10 - 24 // with its header a chunk fills one size class of the allocator
	maxFreeChunks = 128         // retention of a loop: 2 MiB
	maxPieces     = 64          // pieces of one sendmsg
)

// chunk is a piece of copied output.
type chunk struct {
	next *chunk
	r, w int
	data [chunkBytes]byte
}

// chunkStore is a loop's free list.
type chunkStore struct {
	free  *chunk
	count int
}

func (s *chunkStore) borrow() *chunk {
	c := s.free
	if c == nil {
		return new(chunk)
	}
	s.free, c.next = c.next, nil
	s.count--
	return c
}

func (s *chunkStore) giveBack(c *chunk) {
	if s.count >= maxFreeChunks {
		return
	}
	c.r, c.w, c.next = 0, 0, s.free
	s.free = c
	s.count++
}

// backlog is the output of one connection that had to be copied, in order.
type backlog struct {
	size       int
	head, tail *chunk
}

// add copies b to the end.
func (q *backlog) add(s *chunkStore, b []byte) {
	q.size += len(b)
	for len(b) > 0 {
		if q.tail == nil || q.tail.w == chunkBytes {
			q.grow(s.borrow())
		}
		n := copy(q.tail.data[q.tail.w:], b)
		q.tail.w += n
		b = b[n:]
	}
}

func (q *backlog) grow(c *chunk) {
	if q.tail == nil {
		q.head = c
	} else {
		q.tail.next = c
	}
	q.tail = c
}

// pieces appends the beginning of the backlog to v, as far as one send goes.
func (q *backlog) pieces(v [][]byte) (_ [][]byte, size int) {
	for c := q.head; c != nil && len(v) < maxPieces; c = c.next {
		v = append(v, c.data[c.r:c.w])
		size += c.w - c.r
	}
	return v, size
}

// taken drops the first n bytes.
func (q *backlog) taken(s *chunkStore, n int) {
	q.size -= n
	for n > 0 {
		c := q.head
		if n < c.w-c.r {
			c.r += n
			return
		}
		n -= c.w - c.r
		q.head = c.next
		if q.head == nil {
			q.tail = nil
		}
		s.giveBack(c)
	}
}

func (q *backlog) drop(s *chunkStore) { q.taken(s, q.size) }

// Send queues b to leave after the current callback, when the other connections of the turn have been heard, or earlier. b is borrowed
// until the callback has returned: the caller must not change it before, and may reuse it afterwards.
func (c *Conn) Send(b []byte) {
	if len(b) == 0 || c.state != connOpen || c.finWanted {
		return
	}
	c.loop.mark(c)
	if c.state != connOpen { // what was held could not be sent
		return
	}
	last := &c.first
	if n := len(c.more); n > 0 {
		last = &c.more[n-1]
	}
	switch {
	case len(*last) == 0:
		*last = b
	case follows(*last, b):
		*last = (*last)[:len(*last)+len(b)]
	default:
		c.more = append(c.more, b)
	}
}

// follows says whether b begins in memory where a ends, within a's capacity: frames of one receive become one piece again.
func follows(a, b []byte) bool {
	return cap(a)-len(a) >= len(b) && unsafe.SliceData(a[len(a):cap(a)]) == unsafe.SliceData(b)
}

// sendCopy queues a copy of b, behind what is queued already.
func (c *Conn) sendCopy(b []byte) {
	if c.state != connOpen || c.finWanted {
		return
	}
	c.loop.mark(c)
	if c.state != connOpen {
		return
	}
	c.spill()
	c.backlog.add(&c.loop.chunks, b)
}

// spill copies what was borrowed to the backlog.
func (c *Conn) spill() {
	if len(c.first) == 0 {
		return
	}
	c.backlog.add(&c.loop.chunks, c.first)
	for _, b := range c.more {
		c.backlog.add(&c.loop.chunks, b)
	}
	c.dropBorrowed()
}

// dropBorrowed forgets the queued pieces; the array of pieces is kept if it is small.
func (c *Conn) dropBorrowed() {
	c.first = nil
	clear(c.more)
	if cap(c.more) <= maxPieces {
		c.more = c.more[:0]
	} else {
		c.more = nil
	}
}

func (c *Conn) dropOutput() {
	c.dropBorrowed()
	c.backlog.drop(&c.loop.chunks)
}

// transmit gives the kernel what c has queued, and copies what it does not take.
func (l *Loop) transmit(c *Conn) {
	switch {
	case c.blocked:
		c.spill()
	case c.backlog.size > 0:
		c.spill()
		l.drain(c)
	case len(c.more) > 0:
		c.spillRest(l.sendPieces(c, append(append(l.pieces[:0], c.first), c.more...)))
	case len(c.first) > 0:
		n, errno := l.engine.send(c, c.first)
		c.spillRest(l.accepted(c, n, errno))
	}
}

// sendPieces sends v in as few calls as possible.
func (l *Loop) sendPieces(c *Conn, v [][]byte) (total int, ok bool) {
	l.pieces = v[:0]
	defer clear(v)
	for len(v) > 0 {
		part := v[:min(len(v), maxPieces)]
		v = v[len(part):]
		size := 0
		for _, b := range part {
			size += len(b)
		}
		n, errno := l.engine.sendPieces(c, part)
		n, ok = l.accepted(c, n, errno)
		total += n
		if !ok || n < size {
			return total, ok
		}
	}
	return total, true
}

// accepted counts what the kernel took. ok is false if the connection is broken and nothing of it may be touched.
func (l *Loop) accepted(c *Conn, n int, errno unix.Errno) (int, bool) {
	if errno != 0 {
		c.sendFailed(c.wrap("send to", errno))
		return 0, false
	}
	c.sent += uint64(n)
	l.count.BytesOut += uint64(n)
	return n, true
}

// spillRest copies what is left of the borrowed pieces after the kernel took the first n bytes.
func (c *Conn) spillRest(n int, ok bool) {
	if !ok {
		return
	}
	if n == len(c.first) && len(c.more) == 0 { // mostly it takes all
		c.first = nil
		return
	}
	if n < len(c.first) {
		c.backlog.add(&c.loop.chunks, c.first[n:])
		n = 0
	} else {
		n -= len(c.first)
	}
	for _, b := range c.more {
		if n < len(b) {
			c.backlog.add(&c.loop.chunks, b[n:])
			n = 0
		} else {
			n -= len(b)
		}
	}
	c.dropBorrowed()
	if c.backlog.size > 0 {
		c.block()
	}
}

// block is the moment from which on the kernel has to tell when it takes more.
func (c *Conn) block() {
	c.blocked = true
	c.loop.count.Blocked++
	c.loop.notice(c, noticeBlocked)
}

// drain gives the kernel the backlog.
func (l *Loop) drain(c *Conn) {
	for c.backlog.size > 0 {
		v, size := c.backlog.pieces(l.pieces[:0])
		n, ok := l.sendPieces(c, v)
		if !ok {
			return
		}
		c.backlog.taken(&l.chunks, n)
		if n < size {
			if !c.blocked {
				c.block()
			}
			return
		}
	}
	if c.blocked {
		c.blocked = false
		l.notice(c, noticeDrained)
	}
}
