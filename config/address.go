package config

import (
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	defaultPort = "5432"
	maxPort     = 65535

	// Listeners and nodes that nobody configured.
	defaultPrimary = "127.0.0.1:5000"
	defaultReplica = "127.0.0.1:5001"
)

// splitAddress reads host:port, [ipv6]:port or /directory:port. Where port is missing, the given one is taken; "" asks for it.
func splitAddress(address, port string) (host, p string, err error) {
	host, p = address, port
	switch {
	case strings.HasPrefix(address, "/"):
		if i := strings.LastIndexByte(address, ':'); i >= 0 {
			host, p = address[:i], address[i+1:]
		}
	case isIPv6(address):
	default:
		if h, q, splitErr := net.SplitHostPort(address); splitErr == nil {
			host, p = h, q
		} else if strings.ContainsAny(address, ":[]") {
			return "", "", errors.New("must be host:port")
		}
	}
	if p == "" {
		return "", "", errors.New("has no port")
	}
	if n, convErr := strconv.Atoi(p); convErr != nil || n < 1 || n > maxPort || strconv.Itoa(n) != p {
		return "", "", errors.New("has no port between 1 and 65535")
	}
	if strings.ContainsAny(host, " \t,@?#${}\x00") {
		return "", "", errors.New("has a character that no host has")
	}
	return host, p, nil
}

func isIPv6(s string) bool {
	ip := net.ParseIP(s)
	return ip != nil && strings.Contains(s, ":")
}

// nodeAddress returns a node's address as NodeIDs are written: host:port, or /directory:port.
func nodeAddress(address string) (string, error) {
	host, port, err := splitAddress(strings.TrimSpace(address), defaultPort)
	switch {
	case err != nil:
		return "", err
	case host == "":
		return "", errors.New("has no host")
	}
	return joinAddress(host, port), nil
}

func joinAddress(host, port string) string {
	if strings.HasPrefix(host, "/") {
		return host + ":" + port
	}
	return net.JoinHostPort(host, port)
}

// Endpoint returns where to listen, for net.Listen: network "tcp" and host:port, or "unix" and the path of the socket.
func (l *Listener) Endpoint() (network, address string) {
	host, port, err := splitAddress(l.Address, "")
	if err == nil && strings.HasPrefix(host, "/") {
		return "unix", filepath.Join(host, ".s.PGSQL."+port)
	}
	return "tcp", l.Address
}

// everywhere says whether a host means all addresses of the machine.
func everywhere(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// isLocal says whether only the machine itself reaches a host.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
}

// clash says whether two addresses cannot both be listened on.
func clash(a, b string) bool {
	hostA, portA, errA := splitAddress(a, "")
	hostB, portB, errB := splitAddress(b, "")
	if errA != nil || errB != nil || portA != portB {
		return false
	}
	unix := strings.HasPrefix(hostA, "/") || strings.HasPrefix(hostB, "/")
	return hostA == hostB || !unix && (everywhere(hostA) || everywhere(hostB))
}
