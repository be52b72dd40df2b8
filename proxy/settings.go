package proxy

import (
	"slices"
	"strings"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/state"
)

// A unit of work that has touched settings is asked for what they are when it is over, whatever has become of its transactions. What
// was reset is given back what the session began with, in the same breath: the server's own default may be another.

// readBack is what a session asks of its server about settings.
type readBack struct {
	session *Session
	touched *state.Touched
	names   []string
	values  []settingValue // by name
	roles   bool           // logins may have a role by default, so that none at all must be said
}

// settingValue is what a server says of one setting.
type settingValue struct {
	value string
	known bool   // there is such a setting
	word  string // how it stands, one of the words of standing
}

// How a setting stands, as the answer to askStanding says it, one letter for each.
const (
	standsByDefault = "d" // at the server's default
	standsByAnybody = "s" // it was set, as anybody may
	standsByRight   = "p" // it was set, for which a right is needed
	standsUnlisted  = "-" // PostgreSQL does not list it
)

// askSettings asks for the settings that the unit has touched.
func (s *Session) askSettings(q *postlude) {
	touched := s.link.Touched()
	if touched == nil {
		return
	}
	s.giveBackTracked(q, touched)
	r := &readBack{session: s, touched: touched, names: s.touchedSettings(touched)}
	if len(r.names) == 0 {
		return
	}
	r.values = make([]settingValue, len(r.names))
	for i, name := range r.names {
		q.ask(s.valueOf(name, touched), func(value []byte) { r.values[i].value, r.values[i].known = string(value), value != nil })
	}
	q.ask(askRoles, func(value []byte) { r.roles = string(value) == "t" })
	q.ask(askStanding(r.names), r.heard)
}

// touchedSettings returns the names of the settings, beside the tracked ones, that may not be any more what they were.
func (s *Session) touchedSettings(touched *state.Touched) []string {
	var names []string
	for _, t := range touched.Settings {
		if !state.Tracked(t.Name) {
			names = append(names, t.Name)
		}
	}
	if touched.All {
		for _, set := range slices.Concat(s.vector.Settings(), s.base.Settings()) {
			if !state.IsIdentity(set.Name) { // RESET ALL leaves them alone
				names = append(names, set.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// giveBackTracked gives the server what the session began with, where it stands at another default of its own now. Their values need
// not be asked for: the server reports them.
func (s *Session) giveBackTracked(q *postlude, touched *state.Touched) {
	s.base.Each(func(name, value string) {
		if value != s.actual.Get(name) && wasReset(touched, strings.ToLower(name)) {
			q.ask(giveBack(strings.ToLower(name), value), func([]byte) {})
		}
	})
}

// wasReset reports whether a setting may have been reset.
func wasReset(touched *state.Touched, name string) bool {
	return touched.All && !state.IsIdentity(name) || slices.Contains(touched.Settings, state.Touch{Name: name, Reset: true})
}

// valueOf is the expression whose value is that of a setting, which is first given back if it was reset and the session began
// with a value of its own.
func (s *Session) valueOf(name string, touched *state.Touched) string {
	current := "pg_catalog.current_setting(" + quoted(name) + ",true)"
	value, begun := s.base.Setting(name)
	switch {
	case !begun || !wasReset(touched, name):
		return current
	case unlisted(name):
		return "CASE WHEN COALESCE(" + current + ",'') OPERATOR(pg_catalog.=) " + quoted(s.unsetValue(name)) +
			" THEN pg_catalog.set_config(" + quoted(name) + "," + quoted(value) + ",false) ELSE " + current + " END"
	}
	return "COALESCE(" + giveBack(name, value) + "," + current + ")"
}

// giveBack is the expression that gives a setting a value if it stands at the server's default, and is null otherwise.
func giveBack(name, value string) string {
	return "(SELECT pg_catalog.set_config(" + quoted(name) + "," + quoted(value) + ",false) FROM pg_catalog.pg_settings s" +
		" WHERE pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) " + quoted(name) + " AND s.source OPERATOR(pg_catalog.<>) 'session')"
}

// askRoles asks whether any login has a role by default.
const askRoles = "EXISTS(SELECT FROM pg_catalog.pg_db_role_setting d, pg_catalog.unnest(d.setconfig) c" +
	" WHERE pg_catalog.left(c,5) OPERATOR(pg_catalog.=) 'role=')"

// askStanding is the expression that says of each setting how it stands.
func askStanding(names []string) string {
	var b strings.Builder
	b.WriteString("(SELECT pg_catalog.string_agg(CASE WHEN s.name IS NULL THEN '-' WHEN s.source OPERATOR(pg_catalog.<>) 'session' THEN 'd'" +
		" WHEN s.context OPERATOR(pg_catalog.=) 'user' THEN 's' ELSE 'p' END,'' ORDER BY n.i)" +
		" FROM pg_catalog.unnest(ARRAY[")
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoted(name))
	}
	b.WriteString("]::pg_catalog.text[]) WITH ORDINALITY n(name,i) LEFT JOIN pg_catalog.pg_settings s" +
		" ON pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) n.name)")
	return b.String()
}

func quoted(s string) string { return string(state.AppendLiteral(nil, s)) }

// unlisted reports whether PostgreSQL does not list a setting: one of somebody's own, or as whom the session acts.
func unlisted(name string) bool {
	return strings.Contains(name, ".") || state.IsIdentity(name)
}

// unsetValue is what an unlisted setting is when nobody has set it.
func (s *Session) unsetValue(name string) string {
	switch name {
	case state.Role:
		return "none"
	case state.SessionAuthorization:
		return s.queue.Key().User
	}
	return ""
}

// heard takes the last column: how each setting stands. What the session and its server have is known now.
func (r *readBack) heard(standing []byte) {
	s := r.session
	if len(standing) != len(r.names) {
		s.link.Doubt()
		return
	}
	before, after := s.vector, s.actual
	for i, name := range r.names {
		r.values[i].word = string(standing[i : i+1])
		if r.stands(i) {
			after = s.proxy.vectors.WithoutSetting(after, name)
		} else {
			after = s.proxy.vectors.WithSetting(after, state.Setting{Name: name, Value: r.values[i].value})
		}
	}
	s.vector, s.actual = after, after
	if !after.Movable() || r.needsRole(before, after) {
		s.link.Pin(event.PinSetting)
	}
}

// stands reports whether a setting stands at the server's default. One of the session's own never does when there is such a name: on
// a server that does not know the name it would be null, and an error to SHOW.
func (r *readBack) stands(i int) bool {
	v, name := r.values[i], r.names[i]
	switch name {
	case state.SessionAuthorization:
		return v.value == r.session.unsetValue(name)
	case state.Role:
		return v.value == r.session.unsetValue(name) && !r.roles
	}
	return !v.known || v.word == standsByDefault
}

// needsRole reports whether a setting was set that may need a role which the session has, or has had: who logs in on the next server
// may be forbidden to set it.
func (r *readBack) needsRole(before, after *state.Vector) bool {
	if !slices.ContainsFunc(r.names, state.IsIdentity) && !before.Impersonates() && !after.Impersonates() {
		return false
	}
	for i, name := range r.names {
		value, set := after.Setting(name)
		old, was := before.Setting(name)
		changed := set && (value != old || !was)
		if changed && !state.IsIdentity(name) && !r.anybodyMaySet(i) {
			return true
		}
	}
	return false
}

// anybodyMaySet reports whether a setting needs no right. The values of some are names that not everybody may use.
func (r *readBack) anybodyMaySet(i int) bool {
	switch r.names[i] {
	case "default_tablespace", "temp_tablespaces", "default_text_search_config":
		return false
	}
	word := r.values[i].word
	return word == standsByAnybody || word == standsUnlisted && strings.Contains(r.names[i], ".")
}
