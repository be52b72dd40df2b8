//go:build linux

package reactor

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBlockingSocketReadsUnreadBytesFirst(t *testing.T) {
	checkDescriptors(t)
	client, s := tcpPair(t)
	defer s.Close()
	write(t, client, "abcdef")
	wantRead(t, s, "abcd")
	s.Unread([]byte("cd"))
	s.Unread([]byte("b"))
	wantRead(t, s, "bcdef")
	if err := s.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, unix.ETIMEDOUT) && !isTimeout(err) {
		t.Errorf("read %v, want a time-out", err)
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func TestSocketOnALoopReadsWhatItWasFedAndNeverBlocks(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, s := tcpPair(t)
	h := newRecorder()
	h.onReceived = func(_ *Conn, b []byte) { s.Feed(b) }
	c := attach(t, l, s, h)
	wouldBlock := func() {
		t.Helper()
		n, err := s.Read(make([]byte, 10))
		var e net.Error
		if n != 0 || !errors.As(err, &e) || !e.Temporary() || !IsWouldBlock(err) { //nolint:staticcheck // what crypto/tls asks
			t.Errorf("read %d, %v; want a temporary error", n, err)
		}
	}
	on(t, l, func() {
		wouldBlock()
		if err := s.SetDeadline(time.Now().Add(-time.Hour)); err != nil {
			t.Error(err)
		}
		wouldBlock()
		if n, err := s.Write([]byte("written")); n != 7 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
	})
	wantRead(t, client, "written")
	write(t, client, "first")
	h.wantData(t, "first")
	write(t, client, "second") // overwrites the loop's buffer: what was not read must have been kept
	h.wantData(t, "second")
	on(t, l, func() { wantRead(t, s, "firstsecond"); wouldBlock() })
	_ = client.CloseWrite()
	h.want(t, "ended")
	on(t, l, func() {
		if _, err := s.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read %v after the peer's FIN, want EOF", err)
		}
		_, _ = s.Write([]byte("bye"))
		_ = s.Close()
		if _, err := s.Write([]byte("late")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after Close: %v", err)
		}
	})
	wantRead(t, client, "bye")
	wantEOF(t, client)
	on(t, l, func() {
		if c.Unsent() != 0 {
			t.Error("output is left")
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after the end: %v", err)
		}
	})
}

func TestWritesAndSendsKeepTheirOrder(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, s := tcpPair(t)
	c := attach(t, l, s, newRecorder())
	before := exactStats(t, l).Sends
	on(t, l, func() {
		c.Send([]byte("a"))
		_, _ = s.Write([]byte("b"))
		c.Send([]byte("c"))
		_, _ = s.Write([]byte("d"))
	})
	wantRead(t, client, "abcd")
	if n := exactStats(t, l).Sends - before; n != 1 {
		t.Errorf("%d sends, want 1", n)
	}
}

func TestAttachedSocketHasLeftTheNetPoller(t *testing.T) {
	r := newReactor(t, 1)
	client, s := tcpPair(t)
	original := s.inner
	local, remote := s.LocalAddr().String(), s.RemoteAddr().String()
	c := attach(t, r.Loops()[0], s, &echo{})
	if _, err := original.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the original connection still writes: %v", err)
	}
	if c.LocalAddr().String() != local || c.RemoteAddr().String() != remote {
		t.Errorf("addresses %v, %v; want %s, %s", c.LocalAddr(), c.RemoteAddr(), local, remote)
	}
	write(t, client, "ping")
	wantRead(t, client, "ping")
}

func TestSocketOptionsReachTheKernel(t *testing.T) {
	checkDescriptors(t)
	_, s := tcpPair(t)
	defer s.Close()
	o := SocketOptions{NoDelay: false, KeepIdle: 1500 * time.Millisecond, KeepInterval: time.Second, KeepCount: 7}
	if err := o.Apply(s); err != nil {
		t.Fatal(err)
	}
	raw, err := s.inner.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []socketOption{
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 0},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 2},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 1},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 7},
	} {
		var got int
		_ = raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), want.level, want.code) })
		if err != nil || got != want.value {
			t.Errorf("%s is %d, %v; want %d", want.name, got, err, want.value)
		}
	}
	if err := (SocketOptions{KeepCount: 1000, KeepIdle: time.Second}).Apply(s); err == nil {
		t.Error("the kernel took a keep-alive count of 1000")
	}
}

func TestSocketOptionsKnowTheirLimits(t *testing.T) {
	if err := DefaultSocketOptions().Validate(); err != nil {
		t.Error(err)
	}
	for _, o := range []SocketOptions{
		{KeepIdle: -1}, {KeepIdle: 24 * time.Hour}, {KeepInterval: 24 * time.Hour}, {KeepCount: 128},
	} {
		if o.Validate() == nil {
			t.Errorf("%+v is called valid", o)
		}
	}
	_, s := unixPair(t)
	defer s.Close()
	if err := DefaultSocketOptions().Apply(s); err != nil {
		t.Errorf("unix socket: %v", err)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if DefaultSocketOptions().Apply(a) == nil {
		t.Error("options were set on a pipe")
	}
}

func TestFailedAttachLeavesNoDescriptor(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	_, s := tcpPair(t)
	_ = s.Close()
	h := newRecorder()
	attach(t, l, s, h)
	if err := h.want(t, "failed").err; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Failed with %v, want net.ErrClosed", err)
	}
}
