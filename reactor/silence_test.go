//go:build linux

package reactor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watchful starts a reactor that looks for vanished peers often.
func watchful(t *testing.T) *Loop {
	t.Helper()
	r, err := New(Config{Loops: 1, PeerTimeout: 600 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r.Loops()[0]
}

// vanish lets the kernel drop whatever comes for the connection, without an answer, as when its host has gone.
func vanish(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	})
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
}

func TestAPeerThatHasVanishedIsGivenUp(t *testing.T) {
	for name, tc := range map[string]struct {
		sent  int
		later bool // it vanishes when its window is full
	}{
		"a query": {100, false}, "more than the kernel takes": {32 << 20, false}, "full already": {32 << 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := watchful(t)
			client, server := tcpPair(t)
			h := newRecorder()
			c := attach(t, l, server, h)
			if !tc.later {
				vanish(t, client)
			}
			on(t, l, func() { c.Send(make([]byte, tc.sent)) })
			if tc.later {
				h.want(t, "blocked")
				vanish(t, client)
			}
			for {
				got := await(t, h.calls, "the end")
				if got.name == "failed" {
					if !errors.Is(got.err, unix.ETIMEDOUT) {
						t.Errorf("failed with %v", got.err)
					}
					if sendsOn(t, client) {
						t.Error("the kernel goes on sending to the peer that was given up")
					}
					return
				}
			}
		})
	}
}

// sendsOn reports whether the kernel still has the other side of a connection, which is closed.
func sendsOn(t *testing.T, to net.Conn) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	port := func(a net.Addr) int { return a.(*net.TCPAddr).Port }
	line := fmt.Sprintf(`: [0-9A-F]{8}:%04X [0-9A-F]{8}:%04X `, port(to.RemoteAddr()), port(to.LocalAddr()))
	return regexp.MustCompile(line).Match(table)
}

func TestAPeerThatDoesNotReadIsNotGivenUp(t *testing.T) {
	l := watchful(t)
	client, server := tcpPair(t)
	h := newRecorder()
	c := attach(t, l, server, h)
	on(t, l, func() { c.Send(make([]byte, 32<<20)) })
	h.want(t, "blocked")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	const enough = 8 // looks, four times what a silent peer is given
	for looks := uint64(0); looks < enough; <-tick.C {
		on(t, l, func() { looks = l.count.Looks })
	}
	h.wantNothing(t, l)
	read := make([]byte, 1<<20)
	for total := 0; total < 32<<20; {
		n, err := client.Read(read)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	h.want(t, "drained")
}
