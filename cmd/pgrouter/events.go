package main

import (
	"log/slog"

	"github.com/pgrouter/pgrouter/event"
)

// eventHub gives each event to whoever wants it: the log, the admin's memory, the demo.
type eventHub struct {
	log   *slog.Logger
	watch func(event.Event)
}

func newEventHub(log *slog.Logger, watch func(event.Event)) *eventHub {
	return &eventHub{log: log, watch: watch}
}

// Emit passes an event on (event.Sink).
func (h *eventHub) Emit(e event.Event) {
	h.log.Info("event", "event", string(e.Kind), "cluster", e.Cluster, "node", e.Node, "from", e.From, "to", e.To, "reason", e.Reason, "took", e.Took, "count", e.Count)
	if h.watch != nil {
		h.watch(e)
	}
}
