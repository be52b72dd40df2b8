package wiretest

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	readSize   = 32 << 10
	queueDepth = 64 // chunks on their way in a direction with a delay; a full queue pushes back on the sender
)

// link is one proxied connection: two directions, each with a reader and a writer.
type link struct {
	proxy *Proxy
	ends  [2]net.Conn // indexed by the Direction that arrives there: ends[ToServer] is the server's socket
	once  sync.Once
	done  chan struct{}
	lost  [2]atomic.Bool // the direction's further bytes are thrown away
}

// parcel is what one read gave. An empty one is the sender's end of data.
type parcel struct {
	bytes []byte
	due   time.Time
}

func newLink(p *Proxy, client, server net.Conn) *link {
	return &link{proxy: p, ends: [2]net.Conn{ToServer: server, ToClient: client}, done: make(chan struct{})}
}

// run moves bytes until both directions have ended or the link was cut.
func (l *link) run() {
	var group sync.WaitGroup
	for _, d := range []Direction{ToServer, ToClient} {
		queue := make(chan parcel, queueDepth)
		group.Go(func() { l.read(d, queue) })
		group.Go(func() { l.write(d, queue) })
	}
	group.Wait()
	l.end(false)
}

// end closes both sockets, with RST if wanted.
func (l *link) end(reset bool) {
	l.once.Do(func() {
		close(l.done)
		for _, c := range l.ends {
			if reset {
				abort(c)
				continue
			}
			_ = c.Close()
		}
	})
}

func (l *link) cut(d Direction, how How) {
	switch how {
	case Reset:
		l.end(true)
	case Finish:
		l.end(false)
	case HalfClose:
		l.lost[d].Store(true)
		closeWrite(l.ends[d])
	case Vanish:
		l.lost[d].Store(true)
	}
}

// read takes bytes from the sender of a direction.
func (l *link) read(d Direction, queue chan<- parcel) {
	defer close(queue)
	source := l.ends[1-d]
	buffer := make([]byte, readSize)
	for {
		if _, ok := l.passable(d); !ok {
			return
		}
		n, err := source.Read(buffer)
		fault, _ := l.proxy.fault(d) // as it is now: the read may have waited long
		if n > 0 && !l.put(queue, parcel{bytes: append([]byte(nil), buffer[:n]...), due: time.Now().Add(fault.Delay)}) {
			return
		}
		if errors.Is(err, io.EOF) {
			l.put(queue, parcel{due: time.Now().Add(fault.Delay)})
			return
		}
		if err != nil {
			l.end(true)
			return
		}
	}
}

func (l *link) put(queue chan<- parcel, p parcel) bool {
	select {
	case queue <- p:
		return true
	case <-l.done:
		return false
	}
}

// write gives bytes to the receiver of a direction when they are due.
func (l *link) write(d Direction, queue <-chan parcel) {
	var passed int64
	for p := range queue {
		if !l.awaitDue(p.due) {
			return
		}
		if len(p.bytes) == 0 {
			if _, ok := l.passable(d); ok && !l.lost[d].Load() {
				closeWrite(l.ends[d])
			}
			return
		}
		if !l.pass(d, p.bytes, &passed) {
			return
		}
	}
}

// pass writes a parcel under the fault that is in force now, piece by piece.
func (l *link) pass(d Direction, b []byte, passed *int64) bool {
	for len(b) > 0 {
		fault, ok := l.passable(d)
		if !ok {
			return false
		}
		if l.lost[d].Load() {
			return true
		}
		n := len(b)
		if fault.Chunk > 0 {
			n = min(n, fault.Chunk)
		}
		if fault.Cut != nil {
			n = min(n, max(0, int(fault.Cut.At-*passed)))
		}
		if n == 0 {
			l.cut(d, fault.Cut.How)
			continue
		}
		if _, err := l.ends[d].Write(b[:n]); err != nil {
			l.end(true)
			return false
		}
		b, *passed = b[n:], *passed+int64(n)
		if fault.Cut != nil && *passed >= fault.Cut.At {
			l.cut(d, fault.Cut.How)
		}
	}
	return true
}

// passable waits while the direction is a hole. It reports false once the link is over.
func (l *link) passable(d Direction) (Fault, bool) {
	for {
		fault, changed := l.proxy.fault(d)
		if !fault.Hole {
			select {
			case <-l.done:
				return fault, false
			default:
				return fault, true
			}
		}
		select {
		case <-changed:
		case <-l.done:
			return fault, false
		}
	}
}

func (l *link) awaitDue(due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return true
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.done:
		return false
	}
}

func closeWrite(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
}
