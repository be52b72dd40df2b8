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
	for _, t := range c.tables() {
		for i := range t.fields {
			f := &t.fields[i]
			v := t.values.FieldByIndex(f.index)
			if v.Kind() == reflect.Pointer {
				if v.IsNil() {
					continue
				}
				v = v.Elem()
			}
			all = append(all, Setting{Key: t.path + "." + f.key, Value: f.show(v), Default: f.def, Restart: f.restart})
		}
	}
	return all
}

// table is one table of a configuration.
type table struct {
	section
	path   string // as in Change
	values reflect.Value
}

// tables returns all that there are, in the order of the file.
func (c *Config) tables() []table {
	var all []table
	from := reflect.ValueOf(c).Elem()
	for _, s := range sections() {
		v := from.FieldByIndex(s.index)
		if s.group == groupTable {
			all = append(all, table{s, s.name, v})
			continue
		}
		for i := range v.Len() {
			all = append(all, table{s, s.rowPath(v.Index(i)), v.Index(i)})
		}
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
