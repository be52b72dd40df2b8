package config

import (
	"fmt"
	"reflect"
)

// Change is one difference between two configurations.
type Change struct {
	Path    string // of the key, or of a whole table: pool.size, database.voip.mode, listener[0.0.0.0:5000].route, cluster.west
	Kind    ChangeKind
	Old     string // the values as config show prints them, of a secret a placeholder; "": there was none. Empty for tables
	New     string
	Restart bool // a running router cannot take it over
}

// ChangeKind says what a Change is about.
type ChangeKind uint8

// The kinds of changes.
const (
	Changed ChangeKind = iota // another value
	Added                     // a table that was not there
	Removed                   // a table that is not there any more
)

// String returns the change as one line.
func (c Change) String() string {
	switch c.Kind {
	case Added:
		return c.Path + ": added"
	case Removed:
		return c.Path + ": removed"
	case Changed:
	}
	if c.Old == c.New {
		return c.Path + ": another secret"
	}
	return fmt.Sprintf("%s: %s → %s", c.Path, orUnset(c.Old), orUnset(c.New))
}

func orUnset(value string) string {
	if value == "" {
		return "not set"
	}
	return value
}

// Diff returns what is different in another configuration, in the order of the file. Tables are the same when they have the same
// name, listeners when they have the same address.
func Diff(before, after *Config) []Change {
	var changes []Change
	compare(before, after, func(c Change, _, _ reflect.Value) { changes = append(changes, c) })
	return changes
}

// KeepUntilRestart gives a configuration the values of the one in force that a running router cannot exchange.
func (c *Config) KeepUntilRestart(inForce *Config) {
	compare(inForce, c, func(ch Change, old, next reflect.Value) {
		if ch.Restart {
			next.Set(old)
		}
	})
}

// different is told a difference, and of a key the two fields.
type different func(c Change, before, after reflect.Value)

func compare(before, after *Config, tell different) {
	b, a := reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem()
	all := sections()
	for i := range all {
		s := &all[i]
		s.compare(b.FieldByIndex(s.index), a.FieldByIndex(s.index), tell)
	}
}

// compare finds the tables of one kind that belong together.
func (s *section) compare(before, after reflect.Value, tell different) {
	if s.group == groupTable {
		s.compareRows(s.name, before, after, tell)
		return
	}
	for i := range before.Len() {
		if row := before.Index(i); !s.twin(row, after).IsValid() {
			tell(Change{Path: s.rowPath(row), Kind: Removed}, reflect.Value{}, reflect.Value{})
		}
	}
	for i := range after.Len() {
		row := after.Index(i)
		twin := s.twin(row, before)
		if !twin.IsValid() {
			tell(Change{Path: s.rowPath(row), Kind: Added}, reflect.Value{}, reflect.Value{})
			continue
		}
		s.compareRows(s.rowPath(row), twin, row, tell)
	}
}

// twin returns the row that is the same table, the zero Value if there is none.
func (s *section) twin(row, rows reflect.Value) reflect.Value {
	for i := range rows.Len() {
		if s.rowPath(rows.Index(i)) == s.rowPath(row) {
			return rows.Index(i)
		}
	}
	return reflect.Value{}
}

// rowPath names one of several tables.
func (s *section) rowPath(row reflect.Value) string {
	if s.group == groupArray {
		return s.name + "[" + row.FieldByName("Address").String() + "]"
	}
	return join(s.name, row.FieldByName("Name").String())
}

func (s *section) compareRows(path string, before, after reflect.Value, tell different) {
	for i := range s.fields {
		f := &s.fields[i]
		b, a := before.FieldByIndex(f.index), after.FieldByIndex(f.index)
		was, is := shown(b), shown(a)
		if was == is && (f.kind != kindSecret || reflect.DeepEqual(b.Interface(), a.Interface())) {
			continue
		}
		tell(Change{Path: path + "." + f.key, Old: was, New: is, Restart: f.restart}, b, a)
	}
}

// shown returns a value as config show prints it, "" for one that is not set.
func shown(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	if s, ok := reflect.TypeAssert[Secret](v); ok && s.IsZero() {
		return ""
	}
	return formatTOML(v.Interface())
}
