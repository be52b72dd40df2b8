package proxy

import "github.com/pgrouter/pgrouter/pgwire"

// standInParams are what servers report of themselves that is another with a standby in the place of the primary, since PostgreSQL 14.
// libpq's target_session_attrs goes by them. Constant table.
var standInParams = [...]string{"in_hot_standby", "default_transaction_read_only"}

// tellStandIn tells the client that its server stands in for the primary, or that it has the primary again. It is in between two units.
func (s *Session) tellStandIn() {
	s.readOnly = s.server.Conn.Target.WantStandby
	var msg []byte
	for _, name := range standInParams {
		if value, reported := s.server.Conn.Param(name); reported {
			msg = pgwire.AppendParameterStatus(msg, name, value)
		}
	}
	if len(msg) > 0 {
		s.say(msg)
	}
}
