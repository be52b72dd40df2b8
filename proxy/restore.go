package proxy

import (
	"strings"

	"github.com/pgrouter/pgrouter/state"
)

// Restore returns a statement that gives back what the session began with, of settings that a text has reset, where the server began
// with something else (relay.Library).
func (s *Session) Restore(reset *state.Touched) string {
	if s.actsAsAnother(reset) {
		return ""
	}
	var columns []string
	give := func(name, value string) {
		if wasReset(reset, name) {
			columns = append(columns, "pg_catalog.set_config("+quoted(name)+","+quoted(value)+",false)")
		}
	}
	defaults := s.proxy.vectorOf(s.server.Conn.Params)
	s.base.Each(func(name, value string) {
		if value != defaults.Get(name) {
			give(strings.ToLower(name), value)
		}
	})
	for _, set := range s.base.Settings() {
		give(set.Name, set.Value)
	}
	if columns == nil {
		return ""
	}
	return "SELECT " + strings.Join(columns, ",")
}

// actsAsAnother reports whether who has logged in may have another name now, or gets it back, so that he may be forbidden to set what
// he began with.
func (s *Session) actsAsAnother(reset *state.Touched) bool {
	touched := s.link.Touched()
	return s.actual.Impersonates() && !reset.Has(state.Role) || reset.Has(state.SessionAuthorization) ||
		touched != nil && (touched.Has(state.Role) || touched.Has(state.SessionAuthorization))
}
