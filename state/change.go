package state

import "strings"

// AppendChange appends the statements that turn a server with what is in from into one with what is in v, as the text of one
// simple Query: PostgreSQL runs such a string as one transaction, so that all of it holds or none. Tracked parameters that v does
// not know are left alone; an application's name that it does not know is taken away.
//
// Whoever acts as somebody else may be forbidden to change settings. Where more than tracked parameters differ, the server first
// goes back to who has logged in, and becomes somebody else at the end.
func (v *Vector) AppendChange(dst []byte, from *Vector) []byte {
	if v.SameSettings(from) {
		return v.appendTracked(dst, from)
	}
	if from.Impersonates() {
		dst = append(dst, backToLogin...)
	}
	dst = v.appendTracked(dst, from)
	dst = v.appendSettings(dst, from)
	for _, name := range [...]string{SessionAuthorization, Role} {
		if value, set := v.Setting(name); set {
			dst = appendSetConfig(dst, name, value)
		}
	}
	return dst
}

// backToLogin makes a server act as who has logged in. The first statement alone takes the role away too, but leaves its name
// standing in some releases.
const backToLogin = "RESET SESSION AUTHORIZATION;RESET ROLE;"

func (v *Vector) appendTracked(dst []byte, from *Vector) []byte {
	for i, value := range v.tracked {
		if value == from.tracked[i] || value == "" && i != applicationName {
			continue
		}
		dst = append(dst, "SET "...)
		dst = append(dst, trackedNames[i]...)
		dst = append(dst, " TO "...)
		dst = AppendLiteral(dst, value)
		dst = append(dst, ';')
	}
	return dst
}

// appendSettings takes away what v does not have, and then gives what from does not have. Limits of time come last: one of a
// millisecond would end what stands behind it.
func (v *Vector) appendSettings(dst []byte, from *Vector) []byte {
	for _, late := range [...]bool{true, false} {
		for _, s := range from.Settings() {
			if _, kept := v.Setting(s.Name); !kept && !IsIdentity(s.Name) && late == limitsTime(s.Name) {
				dst = appendReset(dst, s.Name)
			}
		}
	}
	for _, late := range [...]bool{false, true} {
		for _, s := range v.Settings() {
			if !sameSetting(v, from, s.Name) && !IsIdentity(s.Name) && late == limitsTime(s.Name) {
				dst = appendSetConfig(dst, s.Name, s.Value)
			}
		}
	}
	return dst
}

func limitsTime(name string) bool { return strings.HasSuffix(name, "_timeout") }

// appendSetConfig sets a setting to a value as current_setting prints it: of a setting that is a list SET would take it for one
// element.
func appendSetConfig(dst []byte, name, value string) []byte {
	dst = append(dst, "SELECT pg_catalog.set_config("...)
	dst = AppendLiteral(dst, name)
	dst = append(dst, ',')
	dst = AppendLiteral(dst, value)
	return append(dst, ",false);"...)
}

// appendReset takes a setting back to the server's default. Names in quotes may have dots, and cannot be keywords.
func appendReset(dst []byte, name string) []byte {
	dst = append(dst, `RESET "`...)
	dst = append(dst, strings.ReplaceAll(name, `"`, `""`)...)
	return append(dst, `";`...)
}

// AppendLiteral appends a value as a literal of SQL that means the same whatever standard_conforming_strings says: a backslash
// makes it an escape string.
func AppendLiteral(dst []byte, s string) []byte {
	escape := strings.IndexByte(s, '\\') >= 0
	if escape {
		dst = append(dst, " E"...)
	}
	dst = append(dst, '\'')
	for i := range len(s) {
		switch {
		case s[i] == '\'':
			dst = append(dst, '\'')
		case s[i] == '\\' && escape:
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '\'')
}
