package state

import (
	"slices"
	"strings"
)

// Setting is one setting of a session beside those that servers report: its name in lower case, and its value as current_setting
// prints it, which set_config takes back.
type Setting struct {
	Name, Value string
}

// The two settings that say as whom a session acts. PostgreSQL lists neither in pg_settings, and RESET ALL leaves both alone.
const (
	Role                 = "role"
	SessionAuthorization = "session_authorization"
)

// IsIdentity reports whether a setting is one of these two.
func IsIdentity(name string) bool { return name == Role || name == SessionAuthorization }

// What a session may have set and still be moved from server to server. One with more keeps its server.
const (
	settingsLimit     = 64       // settings beside the reported ones
	settingsSizeLimit = 8 * 1024 // bytes of all their names and values
)

// settingEnd ends each name and each value in a list. Neither can contain it. Constant.
const settingEnd = "\x00"

// WithSetting returns the vector that differs from v in one setting that is not tracked. It may not be Movable any more.
func (t *Table) WithSetting(v *Vector, s Setting) *Vector {
	list := v.without(s.Name)
	at, _ := slices.BinarySearchFunc(list, s.Name, func(e Setting, name string) int { return strings.Compare(e.Name, name) })
	return t.withList(v, slices.Insert(list, at, s))
}

// WithoutSetting returns the vector in which a setting that is not tracked stands at its server's default.
func (t *Table) WithoutSetting(v *Vector, name string) *Vector { return t.withList(v, v.without(name)) }

// WithSettingsOf returns the vector with the tracked parameters of v and all other settings of from.
func (t *Table) WithSettingsOf(v, from *Vector) *Vector {
	if v.SameSettings(from) {
		return v
	}
	return t.intern(contents{tracked: v.tracked, list: from.list})
}

func (t *Table) withList(v *Vector, list []Setting) *Vector {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(s.Name + settingEnd + s.Value + settingEnd)
	}
	return t.intern(contents{tracked: v.tracked, list: b.String()})
}

// SameSettings reports whether two vectors differ in nothing but tracked parameters.
func (v *Vector) SameSettings(w *Vector) bool { return v.list == w.list }

// Settings returns the settings beside the tracked parameters, sorted by name.
func (v *Vector) Settings() []Setting {
	var list []Setting
	for rest := v.list; rest != ""; {
		var s Setting
		s.Name, rest, _ = strings.Cut(rest, settingEnd)
		s.Value, rest, _ = strings.Cut(rest, settingEnd)
		list = append(list, s)
	}
	return list
}

func (v *Vector) without(name string) []Setting {
	return slices.DeleteFunc(v.Settings(), func(s Setting) bool { return s.Name == name })
}

// Setting returns the value of a setting that is not tracked. set is false when it stands at its server's default.
func (v *Vector) Setting(name string) (value string, set bool) {
	for rest := v.list; rest != ""; {
		var key string
		key, rest, _ = strings.Cut(rest, settingEnd)
		value, rest, _ = strings.Cut(rest, settingEnd)
		if key == name {
			return value, true
		}
	}
	return "", false
}

// Impersonates reports whether the session acts as somebody else than who has logged in.
func (v *Vector) Impersonates() bool {
	_, role := v.Setting(Role)
	_, user := v.Setting(SessionAuthorization)
	return role || user
}

// Movable reports whether the settings can be given to another server: they are within the limits, and mean the same in every
// encoding.
func (v *Vector) Movable() bool {
	for i := range len(v.list) {
		if v.list[i] >= 0x80 {
			return false
		}
	}
	return len(v.list) <= settingsSizeLimit && strings.Count(v.list, settingEnd) <= 2*settingsLimit
}

// SameIdentity reports whether the sessions of two vectors act as the same user and role.
func (v *Vector) SameIdentity(w *Vector) bool {
	return sameSetting(v, w, Role) && sameSetting(v, w, SessionAuthorization)
}

func sameSetting(v, w *Vector, name string) bool {
	a, isSet := v.Setting(name)
	b, alike := w.Setting(name)
	return a == b && isSet == alike
}
