package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/event"
)

// eventQueue is how many events wait to be told; later ones are counted and dropped, because an event loop never waits.
const eventQueue = 4096

// eventHub gives each event to whoever wants it. Emit hands over and returns; run tells.
type eventHub struct {
	log     *slog.Logger
	sinks   []event.Sink // set before run
	queue   chan event.Event
	dropped atomic.Uint64
}

func newEventHub(log *slog.Logger) *eventHub {
	return &eventHub{log: log, queue: make(chan event.Event, eventQueue)}
}

// sinkFunc is a function as a Sink.
type sinkFunc func(event.Event)

// Emit calls the function.
func (f sinkFunc) Emit(e event.Event) { f(e) }

// Emit passes an event on, from any goroutine or event loop (event.Sink).
func (h *eventHub) Emit(e event.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	select {
	case h.queue <- e:
	default:
		h.dropped.Add(1)
	}
}

// run tells events until ctx ends.
func (h *eventHub) run(ctx context.Context) error {
	for {
		select {
		case e := <-h.queue:
			h.tell(e)
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *eventHub) tell(e event.Event) {
	if n := h.dropped.Swap(0); n > 0 {
		h.log.Warn("events dropped", "count", n)
	}
	for _, s := range h.sinks {
		s.Emit(e)
	}
}
