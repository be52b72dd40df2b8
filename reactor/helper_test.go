//go:build linux

package reactor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// patience bounds every wait of a test; nothing is measured against it.
const patience = 30 * time.Second

// newReactor starts a reactor that is closed when the test ends, and then checks that no descriptor is left.
func newReactor(t testing.TB, loops int) *Reactor {
	t.Helper()
	return newReactorWith(t, Config{Loops: loops, Logger: slog.New(slog.DiscardHandler)})
}

func newReactorWith(t testing.TB, cfg Config) *Reactor {
	t.Helper()
	checkDescriptors(t)
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close reactor: %v", err)
		}
	})
	return r
}

// checkDescriptors lets the test fail if it ends with more open descriptors than it has now. Call it first.
func checkDescriptors(t testing.TB) {
	t.Helper()
	warmUpNet(t)
	before := openDescriptors(t)
	t.Cleanup(func() {
		var after []string
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); runtime.Gosched() {
			if after = openDescriptors(t); len(after) <= len(before) {
				return
			}
		}
		t.Errorf("descriptors leaked: before %v, after %v", before, after)
	})
}

// warmUpNet makes Go's own poller open its descriptors.
func warmUpNet(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
}

func openDescriptors(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		link, _ := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		names = append(names, e.Name()+"="+link)
	}
	return names
}

// tcpPair returns both ends of a TCP connection, the second as a Socket in blocking mode.
func tcpPair(t testing.TB) (*net.TCPConn, *Socket) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, s := pairOf(t, ln)
	return c.(*net.TCPConn), s
}

// unixPair does so with a unix socket.
func unixPair(t testing.TB) (*net.UnixConn, *Socket) {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	c, s := pairOf(t, ln)
	return c.(*net.UnixConn), s
}

func pairOf(t testing.TB, ln net.Listener) (net.Conn, *Socket) {
	t.Helper()
	defer ln.Close()
	client, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if err := client.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, NewSocket(server)
}

// on runs f on the loop and waits for it.
func on(t testing.TB, l *Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(TaskFunc(func(*Loop) { defer close(done); f() })) {
		t.Fatal("the loop accepts no task")
	}
	await(t, done, "a task")
}

func await[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// attach moves s to the loop.
func attach(t testing.TB, l *Loop, s *Socket, h Handler) (c *Conn) {
	t.Helper()
	on(t, l, func() { c = l.Attach(s, h) })
	return c
}

// exactStats returns the loop's counters as they are.
func exactStats(t testing.TB, l *Loop) (c Counters) {
	t.Helper()
	on(t, l, func() { c = l.count })
	return c
}

// call is one call of a handler.
type call struct {
	name string
	data []byte
	err  error
}

func (c call) String() string { return fmt.Sprintf("%s(%q, %v)", c.name, c.data, c.err) }

// recorder is a Handler that tells a test what was called. Functions that are set are called too.
type recorder struct {
	calls      chan call
	onReceived func(c *Conn, b []byte)
	onEnded    func(c *Conn)
	onBlocked  func(c *Conn)
	onDrained  func(c *Conn)
	onFailed   func(c *Conn, err error)
}

func newRecorder() *recorder { return &recorder{calls: make(chan call, 10000)} }

func (r *recorder) Received(c *Conn, b []byte) {
	r.calls <- call{name: "received", data: bytes.Clone(b)}
	if r.onReceived != nil {
		r.onReceived(c, b)
	}
}

func (r *recorder) Ended(c *Conn) {
	r.calls <- call{name: "ended"}
	if r.onEnded != nil {
		r.onEnded(c)
	}
}

func (r *recorder) Blocked(c *Conn) {
	r.calls <- call{name: "blocked"}
	if r.onBlocked != nil {
		r.onBlocked(c)
	}
}

func (r *recorder) Drained(c *Conn) {
	r.calls <- call{name: "drained"}
	if r.onDrained != nil {
		r.onDrained(c)
	}
}

func (r *recorder) Failed(c *Conn, err error) {
	r.calls <- call{name: "failed", err: err}
	if r.onFailed != nil {
		r.onFailed(c, err)
	}
}

// want waits for the next call and checks its name.
func (r *recorder) want(t testing.TB, name string) call {
	t.Helper()
	got := await(t, r.calls, "the call "+name)
	if got.name != name {
		t.Fatalf("the handler was called with %v, want %s", got, name)
	}
	return got
}

// wantData waits until exactly these bytes were received.
func (r *recorder) wantData(t testing.TB, want string) {
	t.Helper()
	var got []byte
	for len(got) < len(want) {
		got = append(got, r.want(t, "received").data...)
	}
	if string(got) != want {
		t.Fatalf("received %q, want %q", got, want)
	}
}

// wantNothing checks that no call came until all that was going on at the loop is over.
func (r *recorder) wantNothing(t testing.TB, l *Loop) {
	t.Helper()
	on(t, l, func() {})
	on(t, l, func() {})
	select {
	case got := <-r.calls:
		t.Fatalf("the handler was called with %v, want no call", got)
	default:
	}
}

// echo sends back what it receives, with back-pressure, and closes after the peer's FIN.
type echo struct{ failed chan error }

func (*echo) Received(c *Conn, b []byte) { c.Send(b) }
func (*echo) Ended(c *Conn)              { c.CloseAfterFlush(patience) }
func (*echo) Blocked(c *Conn)            { c.PauseRead() }
func (*echo) Drained(c *Conn)            { c.ResumeRead() }
func (e *echo) Failed(_ *Conn, err error) {
	if e.failed != nil {
		e.failed <- err
	}
}

// relay joins two connections of one loop.
type relay struct {
	left, right *Conn
	ended       int
	mostUnsent  int
	blocked     chan struct{} // gets one value at the first Blocked, if it is set
	failed      error
	over        chan struct{} // closed at the end, if it is set
}

func newRelay(t testing.TB, l *Loop, left, right *Socket) *relay {
	t.Helper()
	r := &relay{blocked: make(chan struct{}, 1), over: make(chan struct{})}
	on(t, l, func() { r.left, r.right = l.Attach(left, r), l.Attach(right, r) })
	return r
}

func (r *relay) other(c *Conn) *Conn {
	if c == r.left {
		return r.right
	}
	return r.left
}

func (r *relay) Received(c *Conn, b []byte) {
	r.other(c).Send(b)
	r.mostUnsent = max(r.mostUnsent, r.other(c).Unsent())
}

func (r *relay) Ended(c *Conn) {
	r.ended++
	if r.ended < 2 {
		r.other(c).CloseWrite()
		return
	}
	r.left.CloseAfterFlush(patience)
	r.right.CloseAfterFlush(patience)
	close(r.over)
}

func (r *relay) Blocked(c *Conn) {
	r.mostUnsent = max(r.mostUnsent, c.Unsent())
	r.other(c).PauseRead()
	select {
	case r.blocked <- struct{}{}:
	default:
	}
}

func (r *relay) Drained(c *Conn) { r.other(c).ResumeRead() }

func (r *relay) Failed(c *Conn, err error) {
	r.failed = err
	r.other(c).Abort()
	close(r.over)
}

// pattern is a stream of bytes that shows lost, doubled and exchanged pieces.
type pattern struct{ at uint64 }

func (p *pattern) byteAt(i uint64) byte {
	x := i * 0x9e3779b97f4a7c15
	return byte(x>>56) ^ byte(x>>32) ^ byte(i)
}

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = p.byteAt(p.at + uint64(i))
	}
	p.at += uint64(len(b))
	return len(b), nil
}

// Write checks b against the stream.
func (p *pattern) Write(b []byte) (int, error) {
	for i := range b {
		if b[i] != p.byteAt(p.at+uint64(i)) {
			return i, fmt.Errorf("byte %d is wrong", p.at+uint64(i))
		}
	}
	p.at += uint64(len(b))
	return len(b), nil
}

// halfCloser is a connection that can send FIN.
type halfCloser interface {
	io.Writer
	CloseWrite() error
}

// transfer writes size bytes of the pattern to w and then shuts it down, on a goroutine.
func transfer(w halfCloser, size int64, pieceSize int) <-chan error {
	done := make(chan error, 1)
	go func() {
		buf := make([]byte, pieceSize)
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.LimitReader(&pattern{}, size)}, buf)
		done <- errors.Join(err, w.CloseWrite())
	}()
	return done
}

// receiveAll reads size bytes of the pattern and then the end.
func receiveAll(r io.Reader, size int64, pieceSize int) error {
	buf := make([]byte, pieceSize)
	n, err := io.CopyBuffer(struct{ io.Writer }{&pattern{}}, struct{ io.Reader }{r}, buf)
	if err == nil && n != size {
		err = fmt.Errorf("received %d bytes, want %d", n, size)
	}
	return err
}
