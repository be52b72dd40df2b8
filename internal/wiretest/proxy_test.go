package wiretest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wait = time.Minute

// backend is a TCP server whose connections the test gets.
func backend(t *testing.T) (addr string, conns <-chan *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan *net.TCPConn, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c.(*net.TCPConn)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String(), accepted
}

// through gives both ends of a connection that goes through a proxy.
func through(t *testing.T) (p *wiretest.Proxy, client, server *net.TCPConn) {
	t.Helper()
	addr, conns := backend(t)
	p, err := wiretest.NewProxy(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	client = c.(*net.TCPConn)
	select {
	case server = <-conns:
	case <-time.After(wait):
		t.Fatal("the proxy did not connect")
	}
	for _, c := range []*net.TCPConn{client, server} {
		_ = c.SetDeadline(time.Now().Add(wait))
		t.Cleanup(func() { _ = c.Close() })
	}
	return p, client, server
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("read %q, error %v; want %q", b, err, want)
	}
}

// silent checks that nothing arrives for a moment.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := c.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes arrived, error %v; want silence", n, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
}

func TestWithoutAFaultBytesAndEndsPassBothWays(t *testing.T) {
	_, client, server := through(t)
	write(t, client, "question")
	read(t, server, "question")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("%d bytes, error %v; want the end", n, err)
	}
	write(t, server, "answer after the end of the question")
	read(t, client, "answer after the end of the question")
	_ = server.Close()
	if n, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("%d bytes, error %v; want the end", n, err)
	}
}

func TestACutPassesOnExactlySoManyBytes(t *testing.T) {
	cases := []struct {
		name   string
		at     int64
		how    wiretest.How
		server error // what the receiver sees after the bytes
		client error // what the sender's reading sees; nil: it can still be answered
	}{
		{"reset at the first byte", 0, wiretest.Reset, syscall.ECONNRESET, syscall.ECONNRESET},
		{"finish after three", 3, wiretest.Finish, io.EOF, io.EOF},
		{"half-close after three", 3, wiretest.HalfClose, io.EOF, nil},
		{"finish after all", 6, wiretest.Finish, io.EOF, io.EOF},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			p, client, server := through(t)
			p.Set(wiretest.ToServer, wiretest.Fault{Cut: &wiretest.Cut{At: tc.at, How: tc.how}})
			write(t, client, "abcdef")
			got, err := io.ReadAll(server)
			if string(got) != "abcdef"[:tc.at] {
				t.Errorf("the server got %q, want %q", got, "abcdef"[:tc.at])
			}
			if err == nil {
				err = io.EOF
			}
			if !errors.Is(err, tc.server) {
				t.Errorf("the server sees %v, want %v", err, tc.server)
			}
			if tc.client == nil {
				write(t, server, "answer")
				read(t, client, "answer")
				return
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, tc.client) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client sees %v, want %v", err, tc.client)
			}
		})
	}
}

func TestVanishedBytesLeaveTheConnectionAlive(t *testing.T) {
	p, client, server := through(t)
	p.Set(wiretest.ToClient, wiretest.Fault{Cut: &wiretest.Cut{At: 2, How: wiretest.Vanish}})
	write(t, server, "abcdef")
	read(t, client, "ab")
	silent(t, client)
	write(t, client, "still there")
	read(t, server, "still there")
}

func TestAHoleHoldsBytesBackUntilItIsLifted(t *testing.T) {
	p, client, server := through(t)
	p.SetBoth(wiretest.Fault{Hole: true})
	write(t, client, "late")
	silent(t, server)
	p.Heal()
	read(t, server, "late")
}

func TestOneByteWritesKeepTheContent(t *testing.T) {
	p, client, server := through(t)
	p.SetBoth(wiretest.Fault{Chunk: 1})
	content := bytes.Repeat([]byte("0123456789"), 300)
	write(t, client, string(content))
	read(t, server, string(content))
	write(t, server, string(content))
	read(t, client, string(content))
}

func TestADelayHoldsEachByteBackAtLeastThatLong(t *testing.T) {
	const delay = 150 * time.Millisecond
	p, client, server := through(t)
	p.Set(wiretest.ToServer, wiretest.Fault{Delay: delay})
	sent := time.Now()
	write(t, client, "a")
	read(t, server, "a")
	if took := time.Since(sent); took < delay {
		t.Errorf("arrived after %v, want at least %v", took, delay)
	}
}

func TestCutAllEndsLivingConnectionsAndNewOnesWork(t *testing.T) {
	p, client, server := through(t)
	write(t, client, "x")
	read(t, server, "x")
	p.CutAll(wiretest.Reset)
	for name, c := range map[string]net.Conn{"client": client, "server": server} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s sees %v, want a reset", name, err)
		}
	}
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestARefusingProxyRefusesAndComesBackAtItsAddress(t *testing.T) {
	p, client, server := through(t)
	if err := p.Refuse(true); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial gave %v, %v; want a refusal", c, err)
	}
	write(t, client, "living connections stay")
	read(t, server, "living connections stay")
	if err := p.Refuse(false); err != nil {
		t.Fatal(err)
	}
	c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestADeadTargetLooksLikeAReset(t *testing.T) {
	p, err := wiretest.NewProxy("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	c, err := net.Dial("tcp", p.Addr())
	if errors.Is(err, syscall.ECONNRESET) {
		return // so soon that the dialler sees it
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(wait))
	if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, error %v; want an end", n, err)
	}
}
