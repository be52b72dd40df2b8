package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pgrouter/pgrouter/reactor"
)

// What a service manager says of the sockets that it starts us with (sd_listen_fds(3)).
const (
	listenPID      = "LISTEN_PID"     // whom it means
	listenFDs      = "LISTEN_FDS"     // how many there are
	listenNames    = "LISTEN_FDNAMES" // what they are called, with colons between them
	firstInherited = 3
	mostInherited  = 1 << 16
)

// inherited is a descriptor that we were started with.
type inherited struct {
	fd   int
	name string // "": it has none
}

// takeInherited returns the descriptors that we were started with. No command that we run inherits them, or takes the variables
// for its own.
func takeInherited() ([]inherited, error) {
	pid, count, names := os.Getenv(listenPID), os.Getenv(listenFDs), strings.Split(os.Getenv(listenNames), ":")
	if err := errors.Join(os.Unsetenv(listenPID), os.Unsetenv(listenFDs), os.Unsetenv(listenNames)); err != nil {
		return nil, err
	}
	if pid != strconv.Itoa(os.Getpid()) || count == "" {
		return nil, nil // they are meant for another process, which has left us its environment
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > mostInherited {
		return nil, fmt.Errorf("socket activation: %s is %q, which is no number of descriptors", listenFDs, count)
	}
	all := make([]inherited, n)
	for i := range all {
		all[i].fd = firstInherited + i
		unix.CloseOnExec(all[i].fd)
		if i < len(names) {
			all[i].name = names[i]
		}
	}
	return all, nil
}

// String names the descriptor for people.
func (in inherited) String() string {
	if in.name == "" {
		return fmt.Sprintf("descriptor %d", in.fd)
	}
	return fmt.Sprintf("descriptor %d (%s)", in.fd, in.name)
}

// settle gives the socket to the door that it fits.
func (in inherited) settle(ctx context.Context, doors []*door, o reactor.ListenOptions) error {
	ln, err := reactor.FromFD(uintptr(in.fd), o)
	if err != nil {
		return fmt.Errorf("socket activation: %s, %s: %w (a socket unit needs ListenStream= and Accept=no)", in, boundTo(in.fd), err)
	}
	for _, d := range doors {
		if d.fits(ctx, ln.Addr()) {
			d.sockets = append(d.sockets, ln)
			return nil
		}
	}
	misfit := fmt.Errorf("socket activation: %s: no listener is configured for %s (%s, or take it out of the socket unit)", in, ln.Addr(),
		remedy(ln.Addr()))
	return errors.Join(misfit, ln.Close())
}

// remedy says how a listener would get a socket that listens there.
func remedy(at net.Addr) string {
	address := at.String()
	if at.Network() == "unix" {
		dir, port, ok := strings.Cut(address, "/.s.PGSQL.")
		if !ok {
			return "call it /directory/.s.PGSQL.port, as clients do"
		}
		address = dir + ":" + port
	}
	return fmt.Sprintf("add a [[listener]] with address = %q", address)
}

// boundTo says where a socket is bound that is not what we need.
func boundTo(fd int) string {
	at, err := unix.Getsockname(fd)
	switch at := at.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(at.Addr), uint16(at.Port)).String()
	case *unix.SockaddrUnix:
		return strconv.Quote(at.Name)
	}
	return fmt.Sprintf("bound nowhere (%v)", err)
}
