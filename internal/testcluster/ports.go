package testcluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
)

const (
	lowestPort  = 15000 // below it live the well-known servers of a development machine
	enoughPorts = 2000  // room needed below the ephemeral range to pick from at random
	portTries   = 200
)

// reserve listens on n free loopback ports. They are taken from below the kernel's ephemeral range, so that no outgoing
// connection can occupy one while its node is down. The caller closes the listeners just before the nodes bind.
func reserve(n int) ([]net.Listener, error) {
	var held []net.Listener
	for range portTries {
		if len(held) == n {
			return held, nil
		}
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(candidate())))
		if err == nil {
			held = append(held, l)
		}
	}
	closeAll(held)
	return nil, fmt.Errorf("found no %d free loopback ports in %d tries", n, portTries)
}

// FreeAddress returns a "127.0.0.1:port" that nobody listens on at this moment, for a server that is about to be started. No
// outgoing connection can take it in between.
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
