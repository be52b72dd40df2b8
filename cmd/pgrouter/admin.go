package main

import (
	"context"
	"net"

	"github.com/pgrouter/pgrouter/proxy"
)

type adminRun struct{}

func (r *router) startAdmin(context.Context) error { return nil }

func (a *adminRun) close() error { return nil }

func (a *adminRun) address() *net.TCPAddr { return nil }

func (r *router) consoles() map[string]proxy.Virtual { return nil }
