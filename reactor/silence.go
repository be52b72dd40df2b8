//go:build linux

package reactor

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A peer that has vanished leaves what was sent to it unacknowledged. The kernel gives up after some fifteen minutes
// (net.ipv4.tcp_retries2); TCP_USER_TIMEOUT would be earlier, but takes a peer that lives and does not read for one that has
// vanished. So the loops ask the kernel, twice in the time that a peer may be silent.

const (
	silenceLooks = 2   // looks in Config.PeerTimeout; a peer has vanished when one more than those have found it silent, one after the other
	silenceBatch = 256 // connections looked at in one turn
	silenceTries = 2   // unanswered transmissions, the first included, from which on a peer is silent
)

// silence is what is known of a peer's silence.
type silence struct {
	sent  uint64 // what had been sent at the last look; unchanged and nothing unanswered then: no need to look
	looks uint8  // that have found the peer silent, one after the other
	owed  bool   // something was unacknowledged at the last look
}

// listenForSilence is a goroutine of the reactor's: it lets each loop look at its connections, until the reactor closes.
func (r *Reactor) listenForSilence() {
	defer r.done.Done()
	tick := time.NewTicker(r.cfg.PeerTimeout / silenceLooks)
	defer tick.Stop()
	for {
		select {
		case <-r.closing:
			return
		case <-tick.C:
		}
		for _, l := range r.loops {
			if l.looking.CompareAndSwap(false, true) {
				l.Post(&look{}) // not accepted: the reactor closes
			}
		}
	}
}

// look is one look at all connections of a loop, a batch a turn (Task).
type look struct{ next int }

// Run looks at the next batch.
func (k *look) Run(l *Loop) {
	end := min(k.next+silenceBatch, len(l.slots))
	for ; k.next < end; k.next++ {
		if c := l.slots[k.next].conn; c != nil && c.isTCP && (c.state == connOpen || c.state == connLingering) {
			l.lookAt(c)
		}
	}
	if k.next < len(l.slots) && l.Post(k) {
		return
	}
	l.looking.Store(false)
	l.count.Looks++
}

// lookAt fails a connection whose peer has vanished.
func (l *Loop) lookAt(c *Conn) {
	s := &c.silence
	if s.sent == c.sent && !s.owed {
		return
	}
	s.sent = c.sent
	var info unix.TCPInfo
	size := uint32(unix.SizeofTCPInfo)
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(c.fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return
	}
	s.owed = info.Unacked > 0 || info.Notsent_bytes > 0
	if !isSilent(&info, l.reactor.cfg.PeerTimeout/silenceLooks) {
		s.looks = 0
		return
	}
	if s.looks++; s.looks > silenceLooks {
		c.takeBack()
		l.broken(c, "send to", unix.ETIMEDOUT)
	}
}

// isSilent reports whether a peer's kernel has said nothing since the last look, although something was sent to it repeatedly, or its
// full window was probed. A peer that lives and does not read answers each probe.
func isSilent(info *unix.TCPInfo, interval time.Duration) bool {
	unanswered := info.Unacked > 0 && info.Retransmits >= silenceTries-1 || info.Probes >= silenceTries
	return unanswered && time.Duration(info.Last_ack_recv)*time.Millisecond >= interval*9/10
}
