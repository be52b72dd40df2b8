package static

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// DefaultPort is PostgreSQL's.
const DefaultPort = 5432

// ParseAddress reads a node's address as the configuration gives it and returns it in the one form in which it names the
// node: "host:port", "[v6]:port", or "/directory:port" for a unix socket. The port may be left out.
func ParseAddress(s string) (string, error) {
	address, err := normalise(strings.TrimSpace(s))
	if err != nil {
		return "", fmt.Errorf("address %q: %w", s, err)
	}
	return address, nil
}

func normalise(s string) (string, error) {
	if s == "" || strings.ContainsAny(s, "\x00 ,") {
		return "", errors.New("expected host:port or /directory:port")
	}
	if strings.HasPrefix(s, "/") {
		dir, port, has := cutLast(s)
		if !has {
			dir, port = s, strconv.Itoa(DefaultPort)
		}
		number, err := parsePort(port)
		if err != nil {
			return "", err
		}
		return dir + ":" + number, nil
	}
	host, port, err := splitHost(s)
	if err != nil {
		return "", err
	}
	if host == "" || strings.ContainsAny(host, "[]/\t\r\n") {
		return "", errors.New("expected host:port or /directory:port")
	}
	number, err := parsePort(port)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(strings.ToLower(host), number), nil
}

// splitHost parts host and port; a bare IPv6 address, with or without brackets, is a host.
func splitHost(s string) (host, port string, err error) {
	bare := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		bare = s[1 : len(s)-1]
	}
	if net.ParseIP(bare) != nil || !strings.Contains(s, ":") {
		return bare, strconv.Itoa(DefaultPort), nil
	}
	host, port, err = net.SplitHostPort(s)
	return host, port, err
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func parsePort(s string) (string, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("port %q is not between 1 and 65535", s)
	}
	return strconv.FormatUint(n, 10), nil
}
