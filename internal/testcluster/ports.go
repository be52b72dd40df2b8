package testcluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	lowestPort  = 15000 // below it live the well-known servers of a development machine
	enoughPorts = 2000  // room needed below the ephemeral range to pick from at random
	portTries   = 200
)

// reserve listens on n free loopback ports and claims them. They are taken from below the kernel's ephemeral range, so that no outgoing
// connection can occupy one while its node is down. The caller closes the listeners just before the nodes bind.
func reserve(n int) ([]net.Listener, error) {
	var held []net.Listener
	for range portTries {
		if len(held) == n {
			return held, nil
		}
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(candidate())))
		switch {
		case err != nil:
		case claim(portOf(l)):
			held = append(held, l)
		default:
			_ = l.Close()
		}
	}
	closeAll(held)
	return nil, fmt.Errorf("found no %d free loopback ports in %d tries", n, portTries)
}

// claim makes a port this process' own until it ends, although nobody listens on it: a server is yet to be built, or is down. Others
// that ask here, in this process and beside it, do not get it. The claim is a socket whose name has the port's number; it is never
// closed, and the kernel ends it with the process.
func claim(port int) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@pgrouter/port/" + strconv.Itoa(port)}); err != nil {
		_ = unix.Close(fd)
		return false
	}
	return true
}

// FreeAddress returns a "127.0.0.1:port" that nobody listens on, for a server that is about to be started. Neither an outgoing
// connection nor another server of such a test can take it in between.
func FreeAddress() (string, error) {
	held, err := reserve(1)
	if err != nil {
		return "", err
	}
	defer closeAll(held)
	return held[0].Addr().String(), nil
}

// candidate picks a port at random; 0 lets the kernel choose when its ephemeral range leaves no room.
func candidate() int {
	first := ephemeralFrom()
	if first-lowestPort < enoughPorts {
		return 0
	}
	return lowestPort + rand.IntN(first-lowestPort)
}

func ephemeralFrom() int {
	content, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(content))
	if len(fields) != 2 {
		return 0
	}
	first, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0
	}
	return first
}

func closeAll(held []net.Listener) {
	for _, l := range held {
		_ = l.Close()
	}
}

func portOf(l net.Listener) int {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}
