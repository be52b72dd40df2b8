package pool

import (
	"errors"
	"fmt"

	"github.com/pgrouter/pgrouter/topology"
)

// What Acquire may answer, besides the error of a server that refuses this queue's user or database (a
// *backend.DialError).
var (
	ErrClosed    = errors.New("pool: closed")
	ErrQueueFull = errors.New("pool: too many clients are waiting")
	ErrHasPlace  = errors.New("pool: this waiter has a place already") // a fault of the caller's (I5)
)

// Why a pause has ended, for who waits for running work.
var (
	ErrResumed   = errors.New("pool: the pause was ended by a RESUME")
	ErrUndone    = errors.New("pool: the pause was taken back")
	ErrPauseOver = errors.New("pool: the pause has reached its limit")
)

// BusyError says that connections were still in use when the time was over.
type BusyError struct {
	Node topology.NodeID // "" = any
	Left int
	Err  error // why the waiting ended
}

// Error implements error.
func (e *BusyError) Error() string {
	if e.Node == "" {
		return fmt.Sprintf("pool: %d server connections are still in use: %v", e.Left, e.Err)
	}
	return fmt.Sprintf("pool: %d server connections to %s are still in use: %v", e.Left, e.Node, e.Err)
}

// Unwrap returns why the waiting ended.
func (e *BusyError) Unwrap() error { return e.Err }
