package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitFailure  = 1
	exitUsage    = 2 // a command line or a configuration that cannot be used
	exitDegraded = 3 // done, but not as it should have been
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	if err == nil {
		return
	}
	if _, ok := errors.AsType[*toldError](err); !ok {
		fmt.Fprintln(os.Stderr, "pgrouter:", err)
	}
	os.Exit(exitCode(err))
}

// streams are where a verb reads and writes.
type streams struct {
	in  *os.File
	out io.Writer
	err io.Writer
}

// usageError is a command line or a configuration that cannot be used.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

// degradedError says that what was asked for is done, at somebody's cost.
type degradedError struct{ err error }

func (e *degradedError) Error() string { return e.err.Error() }

func (e *degradedError) Unwrap() error { return e.err }

// toldError is a failure that the verb has told already.
type toldError struct{ err error }

func (e *toldError) Error() string { return e.err.Error() }

func (e *toldError) Unwrap() error { return e.err }

func exitCode(err error) int {
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*degradedError](err); ok {
		return exitDegraded
	}
	return exitFailure
}
