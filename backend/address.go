package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// socketName is what PostgreSQL calls its unix sockets, before the port.
const socketName = "/.s.PGSQL."

// splitAddress turns an address of the configuration into what net.Dial takes: "host:port", or "/directory:port" and
// "@name:port" for a unix socket.
func splitAddress(address string) (network, dial string, err error) {
	if !strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "@") {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return "", "", err
		}
		if host == "" {
			return "", "", errors.New("address without a host")
		}
		return "tcp", address, checkPort(port)
	}
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return "", "", errors.New("address of a unix socket without a port")
	}
	directory, port := strings.TrimRight(address[:colon], "/"), address[colon+1:]
	return "unix", directory + socketName + port, checkPort(port)
}

func checkPort(port string) error {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("port %q is not between 1 and 65535", port)
	}
	return nil
}

// connect opens the connection and sets its socket.
func connect(ctx context.Context, cfg Config, t Target) (net.Conn, *DialError) {
	network, address, err := splitAddress(t.Address)
	if err != nil {
		e := newDialError(OpConnect, t, err)
		e.permanent = true
		return nil, e
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.ConnectTimeout,
		fmt.Errorf("no connection within %v: %w", cfg.ConnectTimeout, context.DeadlineExceeded))
	defer cancel()
	dialer := net.Dialer{KeepAlive: -1} // SocketOptions say it
	c, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			<-ctx.Done() // it was ctx's deadline: the socket's timer was ahead of the context's
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, newDialError(OpConnect, t, err)
	}
	if err := cfg.Socket.Apply(c); err != nil {
		_ = c.Close()
		return nil, newDialError(OpConnect, t, fmt.Errorf("socket options: %w", err))
	}
	return c, nil
}
