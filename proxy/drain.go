package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// BusyError says that clients were in the middle of their work when the time to end was over.
type BusyError struct {
	Left int
	Err  error // why the waiting ended
}

// Error implements error.
func (e *BusyError) Error() string {
	return fmt.Sprintf("proxy: %d clients were still at work: %v", e.Left, e.Err)
}

// Unwrap returns why the waiting ended.
func (e *BusyError) Unwrap() error { return e.Err }

// closeGrace bounds how long clients that are closed may take to be told: their loops have that to do and no more.
const closeGrace = time.Second

// StopAccepting closes all listeners. Who is in, or on the way in, may go on. Any goroutine.
func (p *Proxy) StopAccepting() {
	p.mu.Lock()
	p.mu.closed = true
	doors := p.mu.doors
	p.mu.doors = nil
	p.mu.Unlock()
	for _, d := range doors {
		if err := d.listener.Close(); err != nil && !errors.Is(err, context.Canceled) {
			p.log.Warn("listener did not close", "error", err)
		}
	}
}

// Gone is closed when no client is here but consoles. It counts after StopAccepting. Any goroutine.
func (p *Proxy) Gone() <-chan struct{} { return p.registry.gone() }

// Shutdown stops accepting, lets every unit of work that has begun end, tells each client FATAL 57P01 and returns when all
// are gone. When ctx ends first, the rest is closed at once and the error is a *BusyError. Consoles are waited for by nobody: they
// are closed at the end.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.draining.Store(true)
	p.StopAccepting()
	for _, m := range p.registry.all() {
		m.Drain()
	}
	var err error
	select {
	case <-p.registry.gone():
	case <-ctx.Done():
		err = p.closeAll(ctx.Err())
	}
	p.stop()
	p.wg.Wait()
	return err
}

// closeAll closes who is left, and says how many of them were at work.
func (p *Proxy) closeAll(why error) error {
	busy := 0
	for _, m := range p.registry.clients() {
		if m.Info().State == stateLinked.String() {
			busy++
		}
		m.Close(event.CloseShutdown)
	}
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case <-p.registry.gone():
	case <-timer.C:
	}
	if busy == 0 {
		return nil
	}
	return &BusyError{Left: busy, Err: why}
}

// drain ends the session with its unit of work.
func (s *Session) drain() {
	s.dismissWith(farewell{pgwire.ErrAdminShutdown.New(""), event.CloseShutdown})
}

// dismissWith ends a session that has nothing under way, and marks one that has to end with its unit.
func (s *Session) dismissWith(f farewell) {
	switch s.state() {
	case stateClosed:
	case stateIdle, stateWaiting:
		s.fatal(f.words, f.why)
	case stateLinked, statePreparing, stateSettling:
		if s.resting() {
			s.fatal(f.words, f.why)
			return
		}
		s.farewell = &f
	}
}

// closeError is what a client is told when the router closes it.
func closeError(why event.CloseReason) *pgwire.Error {
	switch why {
	case event.CloseShutdown:
		return pgwire.ErrAdminShutdown.New("")
	case event.CloseNone, event.CloseByClient, event.CloseClientReset, event.CloseCut, event.CloseWaitTimeout, event.CloseHoldTimeout,
		event.CloseQueueFull, event.CloseKilled, event.CloseProtocol, event.CloseQueryTimeout, event.CloseIdleTransaction,
		event.CloseClientIdle, event.CloseServerError, event.CloseReconfigured:
	}
	return pgwire.ErrKilled.New("")
}
