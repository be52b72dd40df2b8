//go:build linux

package reactor

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// busyEnough is the busy fraction from which on Pick fills the next loop. Few busy loops cost less for each event than many
// that sleep and wake.
const busyEnough = 0.75

// Reactor is a fixed set of event loops.
type Reactor struct {
	cfg     Config
	loops   []*Loop
	epoch   time.Time // the zero of Now
	ending  sync.Once
	closing chan struct{}
	done    sync.WaitGroup
	closed  error
}

// New starts the loops. Close ends them.
func New(cfg Config) (*Reactor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("reactor: %w", err)
	}
	r := &Reactor{cfg: cfg.withDefaults(), epoch: time.Now(), closing: make(chan struct{})}
	for id := range r.cfg.Loops {
		l, err := newLoop(r, id)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("reactor: start loop %d: %w", id, err), r.discard())
		}
		r.loops = append(r.loops, l)
	}
	r.done.Add(len(r.loops))
	for _, l := range r.loops {
		go l.run()
	}
	if r.cfg.PeerTimeout > 0 {
		r.done.Add(1)
		go r.listenForSilence()
	}
	return r, nil
}

// discard frees the loops' descriptors: of loops that have ended, or were never started. A goroutine that was about to wake
// a loop when it ended is waited for; it has one system call left to make.
func (r *Reactor) discard() error {
	var errs []error
	for _, l := range r.loops {
		for l.wakers.Load() > 0 {
			runtime.Gosched()
		}
		errs = append(errs, l.engine.close())
	}
	return errors.Join(errs...)
}

// Loops returns the loops in the order of their IDs. The slice is the reactor's own and never changes. Any goroutine.
func (r *Reactor) Loops() []*Loop { return r.loops }

// Pick returns the loop that a new session should live on: the first that is less than three quarters busy, or else the
// least busy one. Any goroutine.
func (r *Reactor) Pick() *Loop {
	best, least := r.loops[0], 2.0
	for _, l := range r.loops {
		busy := l.Busy()
		if busy < busyEnough {
			return l
		}
		if busy < least {
			best, least = l, busy
		}
	}
	return best
}

// Now returns the reactor's monotonic time in nanoseconds, the clock of [Loop.Now]. Any goroutine.
func (r *Reactor) Now() int64 { return int64(time.Since(r.epoch)) }

// Close ends the loops and waits for them. Tasks accepted before it still run; then every attached connection is closed
// without a further callback. It must not be called from a loop. Any goroutine; a second call waits and returns the same.
func (r *Reactor) Close() error {
	r.ending.Do(func() {
		close(r.closing)
		for _, l := range r.loops {
			l.inbox.shut()
			l.wake()
		}
		r.done.Wait()
		r.closed = r.discard()
	})
	return r.closed
}
