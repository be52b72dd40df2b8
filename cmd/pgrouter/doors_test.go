package main

import (
	"net"
	"testing"

	"github.com/pgrouter/pgrouter/config"
)

func TestADoorKnowsItsSocketHoweverItsAddressIsWritten(t *testing.T) {
	tcp := func(address string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	unix := func(path string) net.Addr { return &net.UnixAddr{Name: path, Net: "unix"} }
	for _, tc := range []struct {
		configured string
		at         net.Addr
		want       bool
	}{
		{"127.0.0.1:5000", tcp("127.0.0.1:5000"), true},
		{"127.0.0.1:5000", tcp("127.0.0.1:5001"), false},
		{"127.0.0.1:5000", tcp("127.0.0.2:5000"), false},
		{"127.0.0.1:5000", tcp("0.0.0.0:5000"), false},
		{"127.0.0.1:5000", tcp("[::ffff:127.0.0.1]:5000"), true},
		{"[::ffff:127.0.0.1]:5000", tcp("127.0.0.1:5000"), true},
		{"localhost:5000", tcp("127.0.0.1:5000"), true},
		{"no..name:5000", tcp("127.0.0.1:5000"), false},
		{"[::1]:5000", tcp("[::1]:5000"), true},
		{"[0:0::1]:5000", tcp("[::1]:5000"), true},
		{"[::1]:5000", tcp("127.0.0.1:5000"), false},
		{"[::1]:5000", tcp("[::]:5000"), false},
		{"0.0.0.0:5000", tcp("0.0.0.0:5000"), true},
		{"0.0.0.0:5000", tcp("[::]:5000"), true},
		{"0.0.0.0:5000", tcp("127.0.0.1:5000"), false},
		{"[::]:5000", tcp("0.0.0.0:5000"), true},
		{":5000", tcp("[::]:5000"), true},
		{":5000", tcp("0.0.0.0:5000"), true},
		{":5000", tcp("[::]:5001"), false},
		{":5000", tcp("[::1]:5000"), false},
		{":5000", unix("/run/pg/.s.PGSQL.5000"), false},
		{"/run/pg:5000", unix("/run/pg/.s.PGSQL.5000"), true},
		{"/run//pg/:5000", unix("/run/pg/.s.PGSQL.5000"), true},
		{"/run/pg:5000", unix("/run/pg/.s.PGSQL.5001"), false},
		{"/run/pg:5000", unix("@/run/pg/.s.PGSQL.5000"), false},
		{"/run/pg:5000", tcp("[::]:5000"), false},
		{"/run/pg:5000", &net.UDPAddr{Port: 5000}, false},
	} {
		d, err := newDoor(&config.Listener{Address: tc.configured, Route: "primary", Balance: "round-robin"})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.fits(t.Context(), tc.at); got != tc.want {
			t.Errorf("%s and a socket at %s: %v", tc.configured, tc.at, got)
		}
	}
}
