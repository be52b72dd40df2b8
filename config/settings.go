package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Setting is one key of the configuration in force, as it may be shown to others.
type Setting struct {
	Key     string // its path, as in Change
	Value   string // of a secret or a command only a placeholder
	Default string // "": there is none
	Restart bool   // a running router cannot take over another value
}

// Settings returns all settings, in the order of the file, those that databases and users do not have of their own left out.
func (c *Config) Settings() []Setting {
	var all []Setting
	from := reflect.ValueOf(c).Elem()
	for _, s := range sections() {
		v := from.FieldByIndex(s.index)
		if s.group == groupTable {
			all = append(all, s.settings(s.name, v)...)
			continue
		}
		for i := range v.Len() {
			all = append(all, s.settings(s.rowPath(v.Index(i)), v.Index(i))...)
		}
	}
	return all
}

// settings returns those of one table.
func (s *section) settings(path string, row reflect.Value) []Setting {
	var all []Setting
	for i := range s.fields {
		f := &s.fields[i]
		v := row.FieldByIndex(f.index)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				continue
			}
			v = v.Elem()
		}
		all = append(all, Setting{Key: path + "." + f.key, Value: f.show(v), Default: f.def, Restart: f.restart})
	}
	return all
}

// show returns a value for everybody to see. A command may have a password in it.
func (f *field) show(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		return formatDuration(value)
	case []string:
		if f.kind == kindCommand && len(value) > 0 {
			return redacted
		}
		return strings.Join(value, ",")
	default:
		return fmt.Sprint(value)
	}
}
