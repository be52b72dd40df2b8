//go:build linux

package reactor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	maxEvents = 256
	wakeSlot  = -1 // the eventfd's place in an event's data

	eventsRead  = unix.EPOLLIN | unix.EPOLLRDHUP
	eventsWrite = unix.EPOLLOUT
	eventsBad   = unix.EPOLLERR | unix.EPOLLHUP // always reported
	eventsGone  = eventsBad | unix.EPOLLRDHUP   // the peer sends no more
)

// watch is what epoll knows about a connection.
type watch struct {
	events  uint32 // registered
	inSet   bool   // registered at all
	quiet   bool   // paused, and bytes wait: reading is not watched until it is resumed
	muted   bool   // out of the set: only what is level-triggered and uninteresting could be reported
	useless bool   // muted for good: both directions have ended
}

// resume is called when reading is resumed and says whether the watch must be renewed.
func (w *watch) resume() bool {
	if w.quiet || w.muted {
		w.quiet, w.muted = false, w.useless
	}
	return w.events&eventsRead == 0
}

// epoll is the engine for every Linux: level-triggered, registered once, one receive per readable event.
type epoll struct {
	loop    *Loop
	fd      int
	eventFD int
	events  [maxEvents]unix.EpollEvent
	vectors [maxPieces]unix.Iovec
	header  unix.Msghdr
	probe   [1]byte
	touched connState // of no meaning; that it is written keeps the loads
	one     [8]byte   // what is written to the eventfd; never changed

	signalsEnd bool // a wait that keeps its processor is ended by the runtime's signal when somebody needs that
}

func newEpoll(l *Loop) (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	e := &epoll{loop: l, fd: fd, eventFD: -1, signalsEnd: signalsPreempt()}
	binary.NativeEndian.PutUint64(e.one[:], 1)
	if e.eventFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, errors.Join(fmt.Errorf("eventfd: %w", err), e.close())
	}
	// Edge-triggered: each write is one event, and nobody has to read the counter.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeSlot}
	if err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, e.eventFD, &event); err != nil {
		return nil, errors.Join(fmt.Errorf("epoll_ctl eventfd: %w", err), e.close())
	}
	return e, nil
}

func (e *epoll) close() error {
	err := unix.Close(e.fd)
	if e.eventFD >= 0 {
		err = errors.Join(err, unix.Close(e.eventFD))
	}
	if err != nil {
		return fmt.Errorf("close epoll: %w", err)
	}
	return nil
}

func (e *epoll) wake() {
	// It cannot block, and fails only after 2^64-2 writes.
	_, _, _ = syscall.RawSyscall(unix.SYS_WRITE, uintptr(e.eventFD), uintptr(unsafe.Pointer(&e.one[0])), uintptr(len(e.one)))
}

// wait without a time-out of 0 may block. Handing the processor back to the scheduler before and fetching it afterwards costs
// more than all of a short wait's own work, so a brisk one keeps it. Nobody is held up by that for long: who needs the
// processor (the garbage collector at once, sysmon after ten to twenty milliseconds) interrupts the thread by a signal, which
// ends the wait. See signalsPreempt.
func (e *epoll) wait(timeout int64, brisk bool) int {
	e.loop.count.Waits++
	var n uintptr
	var errno unix.Errno
	if timeout == 0 || brisk && e.signalsEnd {
		n, _, errno = syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), maxEvents,
			milliseconds(timeout), 0, 0)
	} else {
		n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), maxEvents,
			milliseconds(timeout), 0, 0)
	}
	if errno == 0 {
		return int(n)
	}
	if errno != unix.EINTR {
		e.loop.log.Error("epoll_wait failed", slog.Int("loop", e.loop.id), slog.Any("error", errno))
	}
	return 0
}

// signalsPreempt reports whether the runtime interrupts threads by signals, which it does unless GODEBUG forbids it.
func signalsPreempt() bool {
	return !strings.Contains(os.Getenv("GODEBUG"), "asyncpreemptoff=1")
}

// milliseconds rounds up: an epoll that returns too early would spin until the tick.
func milliseconds(timeout int64) uintptr {
	if timeout < 0 {
		forever := -1
		return uintptr(forever)
	}
	ms := (timeout + int64(time.Millisecond) - 1) / int64(time.Millisecond)
	return uintptr(min(ms, math.MaxInt32))
}

func (e *epoll) deliver(n int) {
	e.touch(n)
	late := 0 // these wait in the events' first places
	for i := range n {
		ev := e.events[i]
		c := e.loop.tenant(ev.Fd, ev.Pad)
		switch {
		case ev.Fd == wakeSlot:
			e.loop.count.Wakes++
		case c == nil:
		case c.late && ev.Events&eventsGone == 0:
			e.events[late] = ev
			late++
		default:
			e.ready(c, ev.Events)
		}
	}
	e.loop.release()
	for _, ev := range e.events[:late] {
		if c := e.loop.tenant(ev.Fd, ev.Pad); c != nil {
			e.ready(c, ev.Events)
		}
	}
	e.loop.release()
}

// touch looks at every connection that something has happened on before the first is handled. They have mostly left the caches
// since their last turn: here the loads of all of them overlap, later each would be waited for.
func (e *epoll) touch(n int) {
	for i := range n {
		if c := e.loop.tenant(e.events[i].Fd, e.events[i].Pad); c != nil {
			e.touched |= c.state
		}
	}
}

// ready handles what happened on c. After each callback c may be closed, and its slot may have another tenant.
func (e *epoll) ready(c *Conn, events uint32) {
	if c.held || e.loop.full() {
		e.loop.settle()
	}
	if events&(eventsRead|eventsBad) != 0 {
		switch {
		case c.state != connOpen:
		case c.ended:
			if !c.blocked {
				e.afterEnd(c, events)
			}
		case c.paused: // as it is while the socket has unread bytes: otherwise they were delivered at once
			e.readyPaused(c, events)
		default:
			e.read(c)
		}
	}
	if events&(eventsWrite|eventsBad) != 0 && c.blocked && (c.state == connOpen || c.state == connLingering) {
		e.loop.writable(c)
	}
}

// read is the one receive of a readable event.
func (e *epoll) read(c *Conn) {
	b := e.loop.room()
	n, errno := e.receive(c, b)
	switch {
	case n > 0:
		e.loop.received(c, b[:n:n])
	case errno == 0:
		e.loop.peerEnded(c)
	case errno != unix.EAGAIN:
		e.loop.broken(c, "receive from", errno)
	}
}

// readyPaused looks at an event of a connection whose handler wants no bytes. Bytes are left where they are; if there are
// none, a FIN or an error is not kept from the handler.
func (e *epoll) readyPaused(c *Conn, events uint32) {
	if events&eventsGone != 0 && len(c.sock.unread) == 0 {
		n, errno := e.peek(c)
		switch {
		case n > 0 || errno == unix.EAGAIN:
		case errno == 0:
			e.loop.peerEnded(c)
			return
		default:
			e.loop.broken(c, "receive from", errno)
			return
		}
	}
	c.watch.quiet = true
	if events&eventsBad != 0 {
		c.watch.muted = true // it would be reported again and again
	}
	e.loop.mark(c)
	e.loop.settle()
}

// afterEnd looks at an event of a connection that is read to its end.
func (e *epoll) afterEnd(c *Conn, events uint32) {
	if events&eventsBad == 0 {
		return
	}
	if code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
		e.loop.broken(c, "send to", unix.Errno(code))
		return
	}
	c.watch.muted, c.watch.useless = true, true
	e.loop.mark(c)
	e.loop.settle()
}

// wanted returns the events that c's state asks for.
func (w *watch) wanted(c *Conn) (events uint32, inSet bool) {
	if w.muted && !c.blocked {
		return 0, false
	}
	if c.state == connOpen && !c.ended {
		// A pause is only made known to the kernel when it has something to say.
		if !c.paused || !w.quiet && w.events&eventsRead != 0 {
			events = eventsRead
		}
	}
	if c.blocked {
		events |= eventsWrite
	}
	return events, true
}

func (e *epoll) watch(c *Conn) error {
	w := &c.watch
	events, inSet := w.wanted(c)
	if inSet == w.inSet && events == w.events {
		return nil
	}
	if !inSet {
		e.forget(c)
		return nil
	}
	op := unix.EPOLL_CTL_MOD
	if !w.inSet {
		op = unix.EPOLL_CTL_ADD
	}
	ev := unix.EpollEvent{Events: events, Fd: c.slot, Pad: e.loop.slots[c.slot].generation}
	if errno := e.control(op, c.fd, &ev); errno != 0 {
		return c.wrap("watch", errno)
	}
	w.events, w.inSet = events, true
	return nil
}

func (e *epoll) forget(c *Conn) {
	if c.watch.inSet {
		_ = e.control(unix.EPOLL_CTL_DEL, c.fd, &unix.EpollEvent{}) // it is in the set
		c.watch.inSet, c.watch.events = false, 0
	}
}

func (e *epoll) control(op int, fd int32, ev *unix.EpollEvent) unix.Errno {
	e.loop.count.Controls++
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(e.fd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return errno
}

func (e *epoll) receive(c *Conn, b []byte) (int, unix.Errno) {
	return e.receiveFlags(c, b, unix.MSG_DONTWAIT)
}

func (e *epoll) peek(c *Conn) (int, unix.Errno) {
	return e.receiveFlags(c, e.probe[:], unix.MSG_DONTWAIT|unix.MSG_PEEK)
}

func (e *epoll) receiveFlags(c *Conn, b []byte, flags uintptr) (int, unix.Errno) {
	for {
		e.loop.count.Receives++
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

func (e *epoll) send(c *Conn, b []byte) (int, unix.Errno) {
	for {
		e.loop.count.Sends++
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno != unix.EINTR {
			return taken(n, errno)
		}
	}
}

func (e *epoll) sendPieces(c *Conn, v [][]byte) (int, unix.Errno) {
	for i, b := range v {
		e.vectors[i].Base = unsafe.SliceData(b)
		e.vectors[i].SetLen(len(b))
	}
	e.header.Iov = &e.vectors[0]
	e.header.SetIovlen(len(v))
	defer clear(e.vectors[:len(v)])
	for {
		e.loop.count.Sends++
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMSG, uintptr(c.fd), uintptr(unsafe.Pointer(&e.header)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0, 0)
		if errno != unix.EINTR {
			return taken(n, errno)
		}
	}
}

// taken reads a send's result: a full buffer is no error. ENOBUFS is the kernel short of memory: tried again when the socket
// is writable.
func taken(n uintptr, errno unix.Errno) (int, unix.Errno) {
	switch errno {
	case 0:
		return int(n), 0
	case unix.EAGAIN, unix.ENOBUFS:
		return 0, 0
	default:
		return 0, errno
	}
}
