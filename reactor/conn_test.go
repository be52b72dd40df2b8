//go:build linux

package reactor

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newEpoch() time.Time { return time.Now() }

// reset makes the peer of c see RST.
func reset(t testing.TB, c *net.TCPConn) {
	t.Helper()
	if err := errors.Join(c.SetLinger(0), c.Close()); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}

func wantRead(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

func wantEOF(t testing.TB, r io.Reader) {
	t.Helper()
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("read %d, %v; want EOF", n, err)
	}
}

// noSpin checks that a loop which has nothing to do does nothing.
func noSpin(t testing.TB, l *Loop) {
	t.Helper()
	before := exactStats(t, l)
	for range 20 {
		on(t, l, func() {})
	}
	after := exactStats(t, l)
	if got := after.Events - before.Events - (after.Wakes - before.Wakes); got > 3 {
		t.Errorf("the loop saw %d events though nothing happened", got)
	}
}

func TestHalfClosedPeerStillGetsTheAnswer(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			r := newReactor(t, 1)
			l := r.Loops()[0]
			var client net.Conn
			var server *Socket
			if network == "tcp" {
				client, server = tcpPair(t)
			} else {
				client, server = unixPair(t)
			}
			h := newRecorder()
			c := attach(t, l, server, h)
			write(t, client, "question")
			if err := client.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			h.wantData(t, "question")
			h.want(t, "ended")
			noSpin(t, l)
			on(t, l, func() { c.Send([]byte("answer")) })
			wantRead(t, client, "answer")
			on(t, l, func() { c.CloseWrite() })
			wantEOF(t, client)
			noSpin(t, l) // both directions have ended and nobody has closed yet
			on(t, l, func() { c.Close() })
			h.wantNothing(t, l)
		})
	}
}

func TestResetIsToldOnceAsFailed(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	h := newRecorder()
	attach(t, l, server, h)
	reset(t, client)
	err := h.want(t, "failed").err
	if !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("Failed with %v, want ECONNRESET", err)
	}
	if !strings.Contains(err.Error(), "receive from "+server.RemoteAddr().String()) {
		t.Errorf("%q names neither operation nor peer", err)
	}
	h.wantNothing(t, l)
}

func TestBytesBeforeAResetAreReceivedFirst(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	h := newRecorder()
	write(t, client, "last words")
	reset(t, client)
	attach(t, l, server, h)
	h.wantData(t, "last words")
	h.want(t, "failed")
}

func TestPausedConnNoticesReset(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	h := newRecorder()
	c := attach(t, l, server, h)
	on(t, l, c.PauseRead)
	reset(t, client)
	if err := h.want(t, "failed").err; !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("Failed with %v, want ECONNRESET", err)
	}
	h.wantNothing(t, l)
}

func TestPausedConnNoticesAPeerThatHasGoneWithNothingUnread(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	tcpClient, tcpServer := tcpPair(t)
	unixClient, unixServer := unixPair(t)
	for _, p := range []struct {
		client net.Conn
		server *Socket
	}{{tcpClient, tcpServer}, {unixClient, unixServer}} {
		h := newRecorder()
		c := attach(t, l, p.server, h)
		on(t, l, c.PauseRead)
		_ = p.client.Close()
		h.want(t, "ended")
		noSpin(t, l)
		on(t, l, c.Close)
	}
}

func TestPausedConnKeepsUnreadBytesOfAPeerThatIsGone(t *testing.T) {
	for _, how := range []string{"fin", "reset", "unix"} {
		t.Run(how, func(t *testing.T) {
			r := newReactor(t, 1)
			l := r.Loops()[0]
			var client net.Conn
			var server *Socket
			if how == "unix" {
				client, server = unixPair(t)
			} else {
				client, server = tcpPair(t)
			}
			h := newRecorder()
			c := attach(t, l, server, h)
			on(t, l, c.PauseRead)
			write(t, client, "unread")
			if how == "reset" {
				reset(t, client.(*net.TCPConn))
			} else {
				_ = client.Close()
			}
			h.wantNothing(t, l)
			noSpin(t, l)
			on(t, l, c.ResumeRead)
			h.wantData(t, "unread")
			if how == "reset" {
				h.want(t, "failed")
			} else {
				h.want(t, "ended")
			}
			noSpin(t, l)
		})
	}
}

func TestPauseCostsNoSystemCallUnlessBytesCome(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	h := newRecorder()
	c := attach(t, l, server, h)
	before := exactStats(t, l)
	for range 10 {
		on(t, l, c.PauseRead)
		on(t, l, c.ResumeRead)
	}
	if after := exactStats(t, l); after.Controls != before.Controls {
		t.Errorf("%d epoll_ctl for ten pauses without bytes", after.Controls-before.Controls)
	}
	on(t, l, c.PauseRead)
	write(t, client, "later")
	h.wantNothing(t, l)
	noSpin(t, l)
	on(t, l, c.ResumeRead)
	h.wantData(t, "later")
}

func TestLastWordsAreReceivedBeforeAFailedSendIsTold(t *testing.T) {
	for _, paused := range []bool{false, true} {
		r := newReactor(t, 1)
		l := r.Loops()[0]
		client, server := tcpPair(t)
		h := newRecorder()
		c := attach(t, l, server, h)
		on(t, l, c.PauseRead) // nothing is read until the sending has failed
		write(t, client, "FATAL: going down")
		on(t, l, func() { c.Send([]byte("never read by the peer")) })
		// Closing over unread bytes sends RST.
		if err := waitUnread(client); err != nil {
			t.Fatal(err)
		}
		_ = client.Close()
		on(t, l, func() {
			if !paused {
				c.ResumeRead()
			}
			c.Send([]byte("x"))
			c.Send([]byte("y"))
		})
		if paused {
			h.wantNothing(t, l)
			on(t, l, c.ResumeRead)
		}
		h.wantData(t, "FATAL: going down")
		if err := h.want(t, "failed").err; !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
			t.Errorf("Failed with %v, want ECONNRESET or EPIPE", err)
		}
		h.wantNothing(t, l)
	}
}

// waitUnread waits until c has something to read, without reading it.
func waitUnread(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		_, _, failed = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return failed != unix.EAGAIN
	})
	return errors.Join(err, failed)
}

func TestFailedSendWithNothingToReadIsToldAtOnce(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := unixPair(t)
	h := newRecorder()
	c := attach(t, l, server, h)
	on(t, l, c.PauseRead)
	_ = client.Close()
	h.want(t, "ended")
	var sentBefore, sentAfter uint64
	on(t, l, func() { sentBefore = c.Sent(); c.Send([]byte("nobody is there")) })
	if err := h.want(t, "failed").err; !errors.Is(err, unix.EPIPE) {
		t.Errorf("Failed with %v, want EPIPE", err)
	}
	on(t, l, func() { sentAfter = c.Sent() })
	if sentBefore != sentAfter {
		t.Errorf("Sent grew from %d to %d though nothing left", sentBefore, sentAfter)
	}
}

func TestResetAfterThePeersEndIsToldAsFailed(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	h := newRecorder()
	c := attach(t, l, server, h)
	_ = client.Close() // FIN first; what is sent to it now is answered with RST
	h.want(t, "ended")
	on(t, l, func() { c.Send([]byte("nobody reads this")) })
	if err := h.want(t, "failed").err; !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("Failed with %v, want EPIPE or ECONNRESET", err)
	}
	h.wantNothing(t, l)
}

func TestResetWhileBlockedDropsTheBacklog(t *testing.T) {
	for _, paused := range []bool{false, true} {
		r := newReactor(t, 1)
		l := r.Loops()[0]
		client, server := tcpPair(t)
		h := newRecorder()
		c := attach(t, l, server, h)
		on(t, l, func() {
			if paused {
				c.PauseRead()
			}
			c.Send(make([]byte, 64<<20))
		})
		h.want(t, "blocked")
		reset(t, client)
		h.want(t, "failed")
		on(t, l, func() {
			if c.Unsent() != 0 || c.Open() {
				t.Errorf("%d bytes are unsent, open %v", c.Unsent(), c.Open())
			}
			if c.Sent() == 0 || c.Sent() >= 64<<20 {
				t.Errorf("Sent is %d", c.Sent())
			}
		})
		h.wantNothing(t, l)
	}
}

func TestUnreadBytesComeBeforeTheLastWordsOfADyingConn(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := unixPair(t)
	write(t, client, "second")
	_ = client.Close()
	server.Unread([]byte("first "))
	h := newRecorder()
	var c *Conn
	on(t, l, func() {
		c = l.Attach(server, h)
		c.PauseRead()
		c.Send([]byte("fails"))
	})
	h.wantNothing(t, l)
	on(t, l, c.ResumeRead)
	h.wantData(t, "first second")
	h.want(t, "failed")
}

func TestFailedIsNeverCalledFromInsideAMethod(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	h := newRecorder()
	inside := false
	h.onFailed = func(*Conn, error) {
		if inside {
			t.Error("Failed was called inside Attach")
		}
	}
	a, b := net.Pipe()
	defer a.Close()
	on(t, l, func() {
		inside = true
		l.Attach(NewSocket(b), h)
		inside = false
	})
	if err := h.want(t, "failed").err; !strings.Contains(err.Error(), "no descriptor") {
		t.Errorf("Failed with %v", err)
	}
}

func TestASocketCanBeAttachedOnce(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	_, server := tcpPair(t)
	h, again := newRecorder(), newRecorder()
	attach(t, l, server, h)
	attach(t, l, server, again)
	if err := again.want(t, "failed").err; !errors.Is(err, ErrAttached) {
		t.Errorf("Failed with %v, want ErrAttached", err)
	}
	h.wantNothing(t, l)
}

func TestCloseAfterFlushDeliversEverythingThenEnds(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	h := newRecorder()
	c := attach(t, l, server, h)
	const size = 8 << 20
	b := make([]byte, size)
	_, _ = (&pattern{}).Read(b)
	write(t, client, "unread input must not turn the end into a reset")
	on(t, l, func() {
		c.PauseRead()
		c.Send(b)
		c.CloseAfterFlush(patience)
		c.Send([]byte("dropped"))
	})
	if err := receiveAll(client, size, 10000); err != nil {
		t.Fatal(err)
	}
	on(t, l, func() {}) // closing the connection may come after its FIN
	if got := exactStats(t, l).Attached; got != 0 {
		t.Errorf("%d connections are still attached", got)
	}
	for len(h.calls) > 0 {
		if got := <-h.calls; got.name != "received" {
			t.Errorf("the handler was called with %v after CloseAfterFlush", got)
		}
	}
}

func TestCloseAfterFlushGivesUpAtItsLimit(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	h := newRecorder()
	c := attach(t, l, server, h)
	on(t, l, func() {
		c.Send(make([]byte, 64<<20))
		c.CloseAfterFlush(time.Millisecond)
	})
	for exactStats(t, l).Attached > 0 {
		ticks(t, l, 1)
	}
	if n, _ := io.Copy(io.Discard, client); n == 64<<20 {
		t.Error("everything arrived: the test sends too little")
	}
	h.wantNothing(t, l)
}

func TestAbortResets(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	h := newRecorder()
	c := attach(t, l, server, h)
	on(t, l, c.Abort)
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the peer reads %v, want ECONNRESET", err)
	}
	h.wantNothing(t, l)
}

func TestUnreadBytesAreTheFirstReceived(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	write(t, client, "second ")
	server.Unread([]byte("rst "))
	server.Unread([]byte("fi"))
	h := newRecorder()
	returned := false
	h.onReceived = func(*Conn, []byte) {
		if !returned {
			t.Error("Received was called inside Attach")
		}
	}
	on(t, l, func() { l.Attach(server, h); returned = true })
	h.wantData(t, "first second ")
	write(t, client, "third")
	h.wantData(t, "third")
}

func TestUnreadBytesWaitWhileReadingIsPaused(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	write(t, client, "second")
	server.Unread([]byte("first "))
	h := newRecorder()
	var c *Conn
	on(t, l, func() { c = l.Attach(server, h); c.PauseRead() })
	h.wantNothing(t, l)
	noSpin(t, l)
	on(t, l, func() { c.ResumeRead(); c.PauseRead() })
	h.wantNothing(t, l)
	on(t, l, c.ResumeRead)
	h.wantData(t, "first second")
}

func TestSetHandlerTakesOverFromTheNextCallbackOn(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	first, second := newRecorder(), newRecorder()
	c := attach(t, l, server, first)
	write(t, client, "one")
	first.wantData(t, "one")
	on(t, l, func() { c.SetHandler(second) })
	write(t, client, "two")
	second.wantData(t, "two")
}

func TestAPanicEndsOneConnOnly(t *testing.T) {
	var logged bytes.Buffer
	r := newReactorWith(t, Config{Loops: 1, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	l := r.Loops()[0]
	for _, where := range []string{"received", "ended", "failed", "task", "timer"} {
		t.Run(where, func(t *testing.T) {
			logged.Reset()
			client, server := tcpPair(t)
			otherClient, other := tcpPair(t)
			h := newRecorder()
			boom := func() { panic("secret text") }
			switch where {
			case "received":
				h.onReceived = func(*Conn, []byte) { boom() }
			case "ended":
				h.onEnded = func(*Conn) { boom() }
			case "failed":
				h.onFailed = func(*Conn, error) { boom() }
			}
			attach(t, l, server, h)
			attach(t, l, other, &echo{})
			switch where {
			case "received":
				write(t, client, "x")
				h.want(t, "received")
			case "ended":
				_ = client.CloseWrite()
				h.want(t, "ended")
			case "failed":
				reset(t, client)
			case "task":
				l.Post(TaskFunc(func(*Loop) { boom() }))
			case "timer":
				var timer Timer
				timer.SetTarget(expirerFunc(boom))
				on(t, l, func() { l.Arm(&timer, 0) })
			}
			if where == "received" || where == "ended" {
				var p *PanicError
				if err := h.want(t, "failed").err; !errors.As(err, &p) {
					t.Errorf("Failed with %v, want a PanicError", err)
				}
				wantEOFOrReset(t, client)
			}
			write(t, otherClient, "still alive")
			wantRead(t, otherClient, "still alive")
			if where == "timer" {
				ticks(t, l, 2)
			}
			on(t, l, func() {})
			var text string
			on(t, l, func() { text = logged.String() })
			if n := strings.Count(text, "handler panicked"); n != 1 {
				t.Errorf("%d log lines, want 1:\n%s", n, text)
			}
			if strings.Contains(text, "secret") {
				t.Errorf("the log tells the value:\n%s", text)
			}
		})
	}
}

type expirerFunc func()

func (f expirerFunc) Expired(*Loop, *Timer) { f() }

func wantEOFOrReset(t testing.TB, r io.Reader) {
	t.Helper()
	if _, err := r.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("read %v, want the end", err)
	}
}

func TestMethodsOfAClosedConnDoNothing(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	_, server := tcpPair(t)
	h := newRecorder()
	c := attach(t, l, server, h)
	on(t, l, func() {
		c.Close()
		c.Send([]byte("x"))
		c.PauseRead()
		c.ResumeRead()
		c.CloseWrite()
		c.CloseAfterFlush(time.Second)
		c.Abort()
		c.Close()
		if d := c.Detach(); d != nil {
			t.Error("a closed connection was detached")
		}
		if c.Unsent() != 0 {
			t.Error("a closed connection has output")
		}
	})
	h.wantNothing(t, l)
	if got := exactStats(t, l).Attached; got != 0 {
		t.Errorf("%d connections are attached", got)
	}
}
