package proxy

import (
	"github.com/pgrouter/pgrouter/event"
)

// pinQuestions ask a server, each with a column of the postlude, what its session holds that cannot be moved, but for prepared
// statements. What stands in the schema of temporary things is found by its dependency on that, as PostgreSQL finds it when it clears the
// schema. Locks of transactions are gone when a unit is over. Constant table.
var pinQuestions = [...]struct {
	why event.PinReason
	sql string
}{
	{event.PinListen, "EXISTS (SELECT FROM pg_catalog.pg_listening_channels())"},
	{event.PinTempTable, "EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass" +
		" AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())"},
	{event.PinCursor, "EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)"},
	{event.PinAdvisoryLock, "EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())"},
}

// askPins puts into the postlude what of the session's pins really holds.
func (s *Session) askPins(q *postlude) {
	var held event.Pins
	for i, question := range pinQuestions {
		last := i == len(pinQuestions)-1
		q.ask(question.sql, func(value []byte) {
			if string(value) != "f" {
				held = held.With(question.why)
			}
			if last {
				s.link.Held(held)
			}
		})
	}
}

// showPin lets others see why the session keeps its server, and counts when that begins and ends. Each reason is told in the log, once.
func (s *Session) showPin() {
	why, before := s.link.Pinned(), event.PinReason(s.pin.Load())
	if why == before {
		return
	}
	s.pin.Store(uint32(why))
	m := &s.proxy.metrics
	if pins(before) && s.link.Movable() {
		m.unpins[before].Add(1)
	}
	if !pins(why) {
		return
	}
	if !pins(before) {
		m.pins[why].Add(1)
	}
	if !s.reasonsTold.Has(why) {
		s.reasonsTold = s.reasonsTold.With(why)
		s.proxy.log.Info("session pinned", "client", s.facts.id, "user", s.facts.user, "database", s.facts.database, "reason", why.String())
	}
}

// pinRefused counts a statement that was refused because it would pin, PinNone being none. The first is told in the log.
func (s *Session) pinRefused(why event.PinReason) {
	if why == event.PinNone {
		return
	}
	s.proxy.metrics.pinsRefused[why].Add(1)
	if !s.refusalTold {
		s.refusalTold = true
		s.proxy.log.Info("statement refused, it would pin its session", "client", s.facts.id, "user", s.facts.user, "database", s.facts.database,
			"reason", why.String())
	}
}

// pins reports whether a reason is one: the pool's mode is none.
func pins(why event.PinReason) bool { return why != event.PinNone && why != event.PinSession }
