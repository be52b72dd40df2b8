//go:build linux

package reactor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// starvedEnv lets the test binary run runStarved instead of its tests.
const starvedEnv = "REACTOR_TEST_STARVED"

// acceptOne accepts in the background.
func acceptOne(ln *Listener) <-chan *Socket {
	ch := make(chan *Socket, 1)
	go func() {
		if s, err := ln.Accept(); err == nil {
			ch <- s
		}
		close(ch)
	}()
	return ch
}

func dial(t testing.TB, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.DialTimeout(addr.Network(), addr.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

func listen(t testing.TB, network, address string, o ListenOptions) *Listener {
	t.Helper()
	ln, err := Listen(network, address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func TestListenerAcceptsOnTCPAndUnix(t *testing.T) {
	checkDescriptors(t)
	for _, tt := range []struct {
		network, address string
		o                ListenOptions
	}{
		{"tcp", "127.0.0.1:0", ListenOptions{}},
		{"tcp4", "127.0.0.1:0", ListenOptions{ReusePort: true, DeferAccept: 1500 * time.Millisecond}},
		{"unix", filepath.Join(t.TempDir(), ".s.PGSQL.5432"), ListenOptions{UnixMode: 0o700}},
	} {
		ln := listen(t, tt.network, tt.address, tt.o)
		accepted := acceptOne(ln)
		client := dial(t, ln.Addr())
		write(t, client, "hello")
		s := await(t, accepted, "a connection")
		wantRead(t, s, "hello")
		write(t, s, "world")
		wantRead(t, client, "world")
		if tt.o.UnixMode != 0 {
			info, err := os.Stat(tt.address)
			if err != nil || info.Mode().Perm() != tt.o.UnixMode {
				t.Errorf("the socket's file: %v, %v", info.Mode(), err)
			}
		}
		if err := errors.Join(s.Close(), ln.Close(), ln.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestAClientOfMultipathTCPGetsPlainTCP(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0", ListenOptions{})
	accepted := acceptOne(ln)
	d := net.Dialer{Timeout: patience}
	d.SetMultipathTCP(true) // where the kernel has it
	c, err := d.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, ok := <-accepted
	if !ok {
		t.Fatal("not accepted")
	}
	defer s.Close()
	raw, err := s.inner.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var protocol int
	if cerr := raw.Control(func(fd uintptr) { protocol, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	if protocol != unix.IPPROTO_TCP {
		t.Errorf("protocol %d", protocol)
	}
}

func TestCloseEndsAcceptWithErrClosed(t *testing.T) {
	checkDescriptors(t)
	ln := listen(t, "tcp", "127.0.0.1:0", ListenOptions{})
	failed := make(chan error, 1)
	go func() { _, err := ln.Accept(); failed <- err }()
	_ = ln.Close()
	if err := await(t, failed, "Accept"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept returned %v, want net.ErrClosed", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close returned %v, want net.ErrClosed", err)
	}
}

func TestInheritedListenerGoesOnWhereTheOtherStopped(t *testing.T) {
	checkDescriptors(t)
	for _, tt := range []struct{ network, address string }{
		{"tcp", "127.0.0.1:0"}, {"unix", filepath.Join(t.TempDir(), "s")},
	} {
		old := listen(t, tt.network, tt.address, ListenOptions{})
		client := dial(t, old.Addr()) // waits in the kernel's queue
		f, err := old.File()
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Dup(int(f.Fd()))
		if err = errors.Join(err, f.Close(), old.Close()); err != nil {
			t.Fatal(err)
		}
		heir, err := FromFD(uintptr(fd), ListenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := heir.Accept()
		if err != nil {
			t.Fatal(err)
		}
		write(t, s, "from the heir")
		wantRead(t, client, "from the heir")
		if heir.Addr().String() != old.Addr().String() {
			t.Errorf("the heir listens on %v, not %v", heir.Addr(), old.Addr())
		}
		_, _ = s.Close(), heir.Close()
	}
}

func TestFromFDRefusesWhatDoesNotListenAndLeavesItAlone(t *testing.T) {
	checkDescriptors(t)
	for name, open := range map[string]func() (int, error){
		"a file":                   func() (int, error) { return unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0) },
		"a datagram socket":        func() (int, error) { return unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) },
		"one that does not listen": func() (int, error) { return unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) },
		"one of packets":           listeningForPackets,
	} {
		fd, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if ln, err := FromFD(uintptr(fd), ListenOptions{}); !errors.Is(err, ErrNotListening) {
			t.Errorf("%s was taken for a listener: %v, %v", name, ln, err)
		}
		if err := unix.Close(fd); err != nil {
			t.Errorf("%s was closed: %v", name, err)
		}
	}
	if _, err := FromFD(1<<20, ListenOptions{}); !errors.Is(err, unix.EBADF) {
		t.Errorf("no descriptor: %v", err)
	}
}

func listeningForPackets() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{}) // a name of the kernel's choice
	}
	if err == nil {
		err = unix.Listen(fd, 1)
	}
	return fd, err
}

func TestStaleUnixSocketIsReplacedALiveOneIsNot(t *testing.T) {
	checkDescriptors(t)
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()
	listen(t, "unix", path, ListenOptions{})
	if second, err := Listen("unix", path, ListenOptions{}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a second listener: %v, %v; want EADDRINUSE", second, err)
	}
	plain := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(plain, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix", plain, ListenOptions{}); err == nil {
		t.Error("a file that is no socket was replaced")
	}
}

// TestOutOfDescriptorsShedsAndRecovers runs in a process of its own, with a low limit.
func TestOutOfDescriptorsShedsAndRecovers(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), starvedEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "recovered") {
		t.Fatalf("%v:\n%s", err, out)
	}
}

func runStarved() int {
	if err := starved(); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("recovered")
	return 0
}

func starved() error {
	told := make(chan error, 100)
	ln, err := Listen("tcp", "127.0.0.1:0", ListenOptions{Exhausted: func(err error) { told <- err }})
	if err != nil {
		return err
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return err
	}
	fillers, err := takeAllDescriptors()
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- acceptAndGreet(ln) }()
	if err := <-told; !errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("told of %w, want EMFILE", err)
	}
	_ = client.SetDeadline(time.Now().Add(patience))
	if _, err := client.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, unix.ECONNRESET) {
		return fmt.Errorf("the waiting client reads %w, want the end", err)
	}
	if len(done) > 0 {
		return errors.New("a connection was accepted without a descriptor")
	}
	if ln.Shed() == 0 {
		return errors.New("no client was shed")
	}
	for _, fd := range fillers {
		_ = unix.Close(fd)
	}
	for greeted := false; !greeted; { // a client that comes in the last moment of the shortage may still be shed
		if greeted, err = isGreeted(ln.Addr().String()); err != nil {
			return err
		}
	}
	return <-done
}

func acceptAndGreet(ln *Listener) error {
	s, err := ln.Accept()
	if err != nil {
		return err
	}
	_, err = s.Write([]byte("x"))
	return errors.Join(err, s.Close())
}

func isGreeted(address string) (bool, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return false, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err = c.Read(make([]byte, 1))
	if isTimeout(err) {
		return false, err
	}
	return err == nil, nil
}

// takeAllDescriptors lowers the limit and uses up what it leaves.
func takeAllDescriptors() (fds []int, err error) {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		return nil, err
	}
	for {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if errors.Is(err, unix.EMFILE) {
			return fds, nil
		}
		if err != nil {
			return nil, err
		}
		fds = append(fds, fd)
	}
}
