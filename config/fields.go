package config

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// kind is how the value of a key is written.
type kind uint8

const (
	kindString kind = iota
	kindNumber
	kindDuration
	kindSize
	kindList
	kindCommand
	kindSecret
)

// field is one key of a table, as the tag of a struct's field describes it.
type field struct {
	key      string // patroni.urls is urls of the table patroni within
	kind     kind
	def      string
	min, max string
	oneof    []string
	required bool
	restart  bool // a running router cannot take another value over
	expand   bool // ${NAME} as a value is taken from the environment
	unit     string
	doc      string
	index    []int
}

// group is how a table stands in the file.
type group uint8

const (
	groupTable  group = iota // [name]
	groupTables              // [name.NAME], as often as one likes
	groupArray               // [[name]]
)

// section is one table, or one kind of tables, of the file.
type section struct {
	name   string
	group  group
	doc    string
	fields []field
	index  []int
	row    reflect.Type // the struct that one table is read into
}

// sections returns all that can stand in a file, in the order of Config's fields.
func sections() []section {
	var all []section
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		s := section{doc: f.Tag.Get("doc"), index: f.Index, row: f.Type}
		for g, tag := range [...]string{groupTable: "table", groupTables: "tables", groupArray: "array"} {
			if name, ok := f.Tag.Lookup(tag); ok {
				s.name, s.group = name, group(g)
			}
		}
		if s.name == "" {
			continue
		}
		if s.group != groupTable {
			s.row = f.Type.Elem()
		}
		s.fields = fieldsOf(s.row)
		all = append(all, s)
	}
	return all
}

// fieldsOf returns the keys of a table and of the tables within it, in the order of the struct's fields.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		if name, ok := f.Tag.Lookup("within"); ok {
			for _, inner := range fieldsOf(f.Type) {
				inner.key, inner.index = name+"."+inner.key, slices.Concat(f.Index, inner.index)
				fields = append(fields, inner)
			}
			continue
		}
		key, ok := f.Tag.Lookup("key")
		if !ok {
			continue
		}
		fields = append(fields, field{
			key: key, kind: kindOf(f), def: f.Tag.Get("default"), min: f.Tag.Get("min"), max: f.Tag.Get("max"),
			oneof: strings.Fields(f.Tag.Get("oneof")), required: f.Tag.Get("required") == "true",
			restart: f.Tag.Get("reload") == "restart",
			expand:  f.Tag.Get("expand") != "no", unit: f.Tag.Get("unit"), doc: f.Tag.Get("doc"), index: f.Index,
		})
	}
	return fields
}

func kindOf(f reflect.StructField) kind {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case f.Tag.Get("kind") == "command":
		return kindCommand
	case t == reflect.TypeFor[Secret]():
		return kindSecret
	case t == reflect.TypeFor[Size]():
		return kindSize
	case t == reflect.TypeFor[time.Duration]():
		return kindDuration
	case t.Kind() == reflect.Int:
		return kindNumber
	case t.Kind() == reflect.Slice:
		return kindList
	}
	return kindString
}

// fileSuffix turns the key of a secret into the key of the file that holds it.
const fileSuffix = "_file"

// find returns the field of a key. ofFile says that the key names the file of a secret.
func (s *section) find(key string) (f *field, ofFile bool) {
	for i := range s.fields {
		f := &s.fields[i]
		if f.key == key {
			return f, false
		}
		if f.kind == kindSecret && f.key+fileSuffix == key {
			return f, true
		}
	}
	return nil, false
}

// hasWithin says whether there is a table of that name within.
func (s *section) hasWithin(name string) bool {
	return slices.ContainsFunc(s.fields, func(f field) bool { return strings.HasPrefix(f.key, name+".") })
}

// name returns the key without the table within.
func (f *field) name() string { return f.key[strings.LastIndexByte(f.key, '.')+1:] }

// keys returns all keys that the section knows.
func (s *section) keys() []string {
	var keys []string
	for i := range s.fields {
		keys = append(keys, s.fields[i].key)
		if s.fields[i].kind == kindSecret {
			keys = append(keys, s.fields[i].key+fileSuffix)
		}
	}
	return keys
}
