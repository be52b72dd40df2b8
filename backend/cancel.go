package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/pgrouter/pgrouter/pgwire"
)

// Cancel asks the server at address to interrupt what its process pid does, and waits until the server has closed the cancel
// connection: with nil the signal has been sent, if the key was right (the server never says). Any error, a *DialError,
// leaves open whether a signal was or will be sent; the server connection must not serve anybody else then. ctx and cfg's
// time limits bound the whole.
func Cancel(ctx context.Context, cfg Config, address string, pid uint32, key []byte) error {
	cfg = cfg.withDefaults()
	t := Target{Address: address}
	if len(key) < pgwire.MinCancelKey || len(key) > pgwire.MaxCancelKey {
		err := fmt.Errorf("a cancel key of %d bytes is impossible", len(key))
		return &DialError{Op: OpCancel, Address: address, Err: err, permanent: true}
	}
	c, failed := connect(ctx, cfg, t)
	if failed != nil {
		failed.Op = OpCancel
		return failed
	}
	defer func() { _ = c.Close() }()
	err := bounded(ctx, cfg.LoginTimeout, c, func() error { return requestCancel(c, pid, key) })
	if err != nil {
		return newDialError(OpCancel, t, err)
	}
	return nil
}

func requestCancel(c net.Conn, pid uint32, key []byte) error {
	if _, err := c.Write(pgwire.AppendCancelRequest(nil, pid, key)); err != nil {
		return err
	}
	var b [1]byte
	n, err := c.Read(b[:])
	switch {
	case n > 0:
		return violation("the server answers a cancel request", b[0])
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}
