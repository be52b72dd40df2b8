package proxy

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// Shutdown stops accepting, lets every unit of work that has begun end, tells each client FATAL 57P01 and returns when all
// are gone. When ctx ends first, the rest is closed at once and the error says how many that were.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.draining.Store(true)
	p.closeListeners()
	for _, m := range p.registry.all() {
		m.Drain()
	}
	var err error
	select {
	case <-p.registry.gone():
	case <-ctx.Done():
		left := p.registry.all()
		err = fmt.Errorf("proxy: %d clients were still at work: %w", len(left), ctx.Err())
		for _, m := range left {
			m.Close(event.CloseShutdown)
		}
	}
	p.stop()
	p.wg.Wait()
	return err
}

// closeListeners stops accepting.
func (p *Proxy) closeListeners() {
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
	case stateLinked, statePreparing:
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
