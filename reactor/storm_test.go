//go:build linux

package reactor

import (
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// drifter is a relay that at random stops reading for a while and moves with both its connections to another loop.
type drifter struct {
	loops []*Loop
	rng   *rand.Rand
	left  side
	right side
	ended int
	moves int
	over  chan *drifter
}

// side is one connection of a drifter and the reasons why it is not read.
type side struct {
	conn    *Conn
	pressed bool // the other side is blocked
	resting bool // at random, until the timer runs out
	timer   Timer
}

func (s *side) update() {
	if s.pressed || s.resting {
		s.conn.PauseRead()
	} else {
		s.conn.ResumeRead()
	}
}

func (d *drifter) sides(c *Conn) (this, other *side) {
	if c == d.left.conn {
		return &d.left, &d.right
	}
	return &d.right, &d.left
}

func (d *drifter) Received(c *Conn, b []byte) {
	this, other := d.sides(c)
	half := len(b) / 2
	other.conn.Send(b[:half])
	other.conn.Send(b[half:])
	if d.rng.IntN(8) == 0 {
		this.resting = true
		this.update()
		c.Loop().Arm(&this.timer, time.Duration(d.rng.IntN(3))*TimerTick)
	}
	d.drift(c.Loop())
}

func (d *drifter) Expired(l *Loop, t *Timer) {
	for _, s := range []*side{&d.left, &d.right} {
		if t == &s.timer {
			s.resting = false
			s.update()
		}
	}
	d.drift(l)
}

func (d *drifter) Blocked(c *Conn) {
	_, other := d.sides(c)
	other.pressed = true
	other.update()
	d.drift(c.Loop())
}

func (d *drifter) Drained(c *Conn) {
	_, other := d.sides(c)
	other.pressed = false
	other.update()
	d.drift(c.Loop())
}

func (d *drifter) Ended(c *Conn) {
	_, other := d.sides(c)
	if d.ended++; d.ended < 2 {
		other.conn.CloseWrite()
		d.drift(c.Loop())
		return
	}
	for _, s := range []*side{&d.left, &d.right} {
		s.conn.Loop().Disarm(&s.timer)
		s.conn.CloseAfterFlush(patience)
	}
	d.over <- d
}

func (d *drifter) Failed(c *Conn, _ error) {
	_, other := d.sides(c)
	other.conn.Abort()
	d.over <- d
}

// drift moves to another loop, sometimes.
func (d *drifter) drift(from *Loop) {
	if d.rng.IntN(4) != 0 {
		return
	}
	d.moves++
	from.Disarm(&d.left.timer)
	from.Disarm(&d.right.timer)
	left, right := d.left.conn.Detach(), d.right.conn.Detach()
	d.loops[d.rng.IntN(len(d.loops))].Post(TaskFunc(func(l *Loop) {
		d.left.conn, d.right.conn = l.Adopt(left, d), l.Adopt(right, d)
		for _, s := range []*side{&d.left, &d.right} {
			s.resting = false
			s.update()
		}
	}))
}

func TestRelaysThatRestAndDriftBetweenLoopsLoseNothing(t *testing.T) {
	r := newReactorWith(t, Config{Loops: 3, ScratchBytes: 8192})
	over := make(chan *drifter, 8)
	var g errgroup.Group
	for i := range 6 {
		a, left := tcpPair(t)
		var b net.Conn
		var right *Socket
		if i%2 == 0 {
			b, right = tcpPair(t)
		} else {
			b, right = unixPair(t)
		}
		d := &drifter{loops: r.Loops(), rng: rand.New(rand.NewPCG(uint64(i), 7)), over: over}
		d.left.timer.SetTarget(d)
		d.right.timer.SetTarget(d)
		_ = a.SetReadBuffer(5000) // small buffers: the kernel takes little at a time
		_ = left.inner.(*net.TCPConn).SetWriteBuffer(5000)
		on(t, r.Loops()[i%3], func() {
			l := r.Loops()[i%3]
			d.left.conn, d.right.conn = l.Attach(left, d), l.Attach(right, d)
		})
		const size = 150_000
		g.Go(func() error { return <-transfer(a, size, 1+i*3001) })
		g.Go(func() error { return receiveAll(a, size, 3000) })
		g.Go(func() error { return <-transfer(b.(halfCloser), size, 7000) })
		g.Go(func() error { return receiveAll(b, size, 9000) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if d := await(t, over, "the end"); d.moves == 0 || d.ended != 2 {
			t.Errorf("moved %d times, %d ends", d.moves, d.ended)
		}
	}
}
