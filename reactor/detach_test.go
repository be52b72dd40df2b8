//go:build linux

package reactor

import (
	"io"
	"testing"

	"golang.org/x/sync/errgroup"
)

// wanderer is an echo that moves to the next loop after every few callbacks.
type wanderer struct {
	loops []*Loop
	calls int
	moves int
	over  chan *wanderer
}

func (w *wanderer) Received(c *Conn, b []byte) { c.Send(b); w.move(c) }
func (w *wanderer) Blocked(c *Conn)            { c.PauseRead(); w.move(c) }
func (w *wanderer) Drained(c *Conn)            { c.ResumeRead(); w.move(c) }
func (w *wanderer) Ended(c *Conn)              { c.CloseAfterFlush(patience); w.over <- w }
func (w *wanderer) Failed(*Conn, error)        { w.over <- w }

func (w *wanderer) move(c *Conn) {
	if w.calls++; w.calls%3 != 0 {
		return
	}
	next := w.loops[(c.Loop().ID()+1)%len(w.loops)]
	d := c.Detach()
	w.moves++
	if !next.Post(TaskFunc(func(l *Loop) { l.Adopt(d, w) })) {
		d.Close()
	}
}

func TestHandOverBetweenLoopsLosesNoByteWhileDataFlows(t *testing.T) {
	r := newReactor(t, 3)
	var g errgroup.Group
	over := make(chan *wanderer, 8)
	for i := range 8 {
		client, server := tcpPair(t)
		attach(t, r.Loops()[i%3], server, &wanderer{loops: r.Loops(), over: over})
		const size = 6 << 20
		g.Go(func() error { return <-transfer(client, size, 1000+i*9999) })
		g.Go(func() error { return receiveAll(client, size, 2000+i*5000) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if w := await(t, over, "the end"); w.moves < 10 {
			t.Errorf("a connection moved %d times only", w.moves)
		}
	}
}

func TestReactorMayCloseWhileConnsAreBetweenLoops(t *testing.T) {
	for range 20 {
		r := newReactor(t, 3)
		for i := range 6 {
			client, server := tcpPair(t)
			attach(t, r.Loops()[i%3], server, &wanderer{loops: r.Loops(), over: make(chan *wanderer, 1)})
			go func() { _, _ = io.Copy(io.Discard, client) }()
			for range 10 {
				_, _ = client.Write(make([]byte, 1000))
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// handOver moves c to the loop and returns it there.
func handOver(t testing.TB, c *Conn, to *Loop, h Handler) (moved *Conn) {
	t.Helper()
	var d *Detached
	on(t, c.Loop(), func() { d = c.Detach() })
	if d == nil {
		t.Fatal("not detached")
	}
	on(t, to, func() { moved = to.Adopt(d, h) })
	return moved
}

func TestHandOverKeepsTheReadState(t *testing.T) {
	r := newReactor(t, 2)
	one, two := r.Loops()[0], r.Loops()[1]
	client, server := tcpPair(t)
	server.Unread([]byte("unread "))
	h := newRecorder()
	var c *Conn
	on(t, one, func() { c = one.Attach(server, h); c.PauseRead() })
	write(t, client, "and more")
	c = handOver(t, c, two, h)
	h.wantNothing(t, two)
	on(t, two, c.ResumeRead)
	h.wantData(t, "unread and more")
	_ = client.CloseWrite()
	h.want(t, "ended")
	c = handOver(t, c, one, h)
	h.wantNothing(t, one) // the end is not told again
	noSpin(t, one)
	on(t, one, func() { c.Send([]byte("bye")) })
	wantRead(t, client, "bye")
}

func TestHandOverKeepsUnsentOutputAndItsOrder(t *testing.T) {
	r := newReactor(t, 2)
	one, two := r.Loops()[0], r.Loops()[1]
	client, server := tcpPair(t)
	h := newRecorder()
	c := attach(t, one, server, h)
	const size = 12 << 20
	b := make([]byte, size)
	_, _ = (&pattern{}).Read(b)
	on(t, one, func() { c.Send(b[:size-200]) })
	h.want(t, "blocked")
	var d *Detached
	on(t, one, func() {
		c.Send(b[size-200 : size-100]) // borrowed in the very callback that detaches
		d = c.Detach()
		clear(b[size-200 : size-100])
	})
	on(t, two, func() {
		c = two.Adopt(d, h)
		c.Send(b[size-100:])
		c.CloseWrite()
	})
	if err := receiveAll(client, size, 60000); err != nil {
		t.Fatal(err)
	}
	h.want(t, "drained") // and no second blocked
	on(t, two, func() {
		if c.Sent() != size {
			t.Errorf("Sent is %d after the hand-over, want %d", c.Sent(), size)
		}
	})
}

func TestAFailureThatIsDueIsToldAfterTheHandOver(t *testing.T) {
	r := newReactor(t, 2)
	one, two := r.Loops()[0], r.Loops()[1]
	client, server := unixPair(t)
	otherClient, other := tcpPair(t)
	_ = otherClient
	h, elsewhere := newRecorder(), newRecorder()
	c := attach(t, one, server, h)
	_ = client.Close()
	h.want(t, "ended")
	var d *Detached
	// Both fail or are told in one settling; the first callback detaches the second.
	on(t, one, func() {
		trigger := newRecorder()
		trigger.onReceived = func(*Conn, []byte) { d = c.Detach() }
		other.Unread([]byte("go"))
		one.Attach(other, trigger)
		c.Send([]byte("fails"))
	})
	on(t, one, func() {}) // the callbacks follow the task
	if d == nil {
		t.Fatal("not detached")
	}
	on(t, two, func() { two.Adopt(d, elsewhere) })
	elsewhere.want(t, "failed")
	h.wantNothing(t, one)
}

func TestADetachedConnThatNobodyAdoptsCanBeClosed(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	h := newRecorder()
	c := attach(t, l, server, h)
	var d *Detached
	on(t, l, func() { d = c.Detach() })
	d.Close()
	d.Close()
	wantEOF(t, client)
	on(t, l, func() {
		if dead := l.Adopt(d, h); dead.Unsent() != 0 {
			t.Error("a closed hand-over was adopted")
		}
	})
	h.wantNothing(t, l)
}
