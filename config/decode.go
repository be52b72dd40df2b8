package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// text is a value from the environment: it says nothing about its type.
type text string

// decoder turns a tree of tables into a Config and collects what is wrong.
type decoder struct {
	file    string            // for faults
	dir     string            // where relative paths begin
	lines   map[string]int    // path → line; nil for the environment
	names   map[string]string // path → name of the variable; nil for a file
	environ map[string]string
	taken   map[string]string // path → ${NAME}, where the value came from the environment
	files   files
	faults  []Fault
}

// decode reads a tree into a Config that has all defaults. The order of the result does not depend on that of the file, but
// for listeners.
func (d *decoder) decode(tree map[string]any) *Config {
	cfg := &Config{Source: d.file}
	into := reflect.ValueOf(cfg).Elem()
	all := sections()
	for i := range all {
		s := &all[i]
		d.section(s, tree[s.name], into.FieldByIndex(s.index))
	}
	for _, key := range sorted(tree) {
		if !slices.ContainsFunc(all, func(s section) bool { return s.name == key }) {
			d.unknownSection(key, tree[key], all)
		}
	}
	return cfg
}

// section reads all tables of one name. No table is one that is empty.
func (d *decoder) section(s *section, raw any, into reflect.Value) {
	switch s.group {
	case groupTable:
		d.table(s, s.name, raw, into)
	case groupTables:
		d.tables(s, raw, into)
	case groupArray:
		d.array(s, raw, into)
	}
}

func (d *decoder) tables(s *section, raw any, into reflect.Value) {
	if raw == nil {
		return
	}
	named, ok := raw.(map[string]any)
	if !ok {
		d.fault(s.name, "must be a table", "write "+s.title())
		return
	}
	for _, name := range sorted(named) {
		path := join(s.name, name)
		if _, ok := named[name].(map[string]any); !ok {
			d.fault(path, "must be a table with a name", "write "+s.title()+" and put the key there")
			continue
		}
		row := reflect.New(s.row).Elem()
		row.FieldByName("Name").SetString(name)
		d.table(s, path, named[name], row)
		into.Set(reflect.Append(into, row))
	}
}

func (d *decoder) array(s *section, raw any, into reflect.Value) {
	if raw == nil {
		return
	}
	rows, ok := raw.([]map[string]any)
	if !ok {
		if list, isList := raw.([]any); !isList || len(list) > 0 {
			d.fault(s.name, "must be an array of tables", "write "+s.title())
		}
		return
	}
	for i, r := range rows {
		row := reflect.New(s.row).Elem()
		d.table(s, element(s.name, i), r, row)
		into.Set(reflect.Append(into, row))
	}
}

// table reads one table; nil is an empty one.
func (d *decoder) table(s *section, path string, raw any, into reflect.Value) {
	for i := range s.fields {
		d.setDefault(&s.fields[i], into)
	}
	values, ok := raw.(map[string]any)
	if !ok && raw != nil {
		d.fault(path, "must be a table", "write "+s.title())
		return
	}
	d.keys(s, "", path, values, into)
	for i := range s.fields {
		if f := &s.fields[i]; f.required && values[f.key] == nil {
			d.fault(join(path, f.key), "is required", "")
		}
	}
}

// keys reads the keys of a table, or those of a table within; then prefix is its name and a dot.
func (d *decoder) keys(s *section, prefix, path string, values map[string]any, into reflect.Value) {
	for _, key := range sorted(values) {
		f, ofFile := s.find(prefix + key)
		switch {
		case s.hasWithin(prefix + key):
			within, ok := values[key].(map[string]any)
			if !ok {
				d.fault(join(path, key), "must be a table", "write "+strings.TrimSuffix(s.title(), "]")+"."+prefix+key+"]")
			}
			d.keys(s, prefix+key+".", join(path, key), within, into)
		case f == nil || strings.Contains(key, "."):
			d.fault(join(path, key), "unknown key", hintFor(prefix+key, s.name, s.keys()))
		case ofFile:
			d.secretFile(f, path, values, into)
		default:
			d.set(f, join(path, key), values[key], into)
		}
	}
}

func (d *decoder) unknownSection(key string, raw any, all []section) {
	var names []string
	for i := range all {
		names = append(names, all[i].name)
	}
	what := "unknown key"
	switch raw.(type) {
	case map[string]any, []map[string]any:
		what = "unknown table"
	}
	d.fault(join("", key), what, hintFor(key, "", names))
}

// setDefault gives a field its default. That of a pointer is nil.
func (d *decoder) setDefault(f *field, into reflect.Value) {
	if f.def != "" {
		d.set(f, f.key, text(f.def), into)
	}
}

// set puts a value into its field, or says why not.
func (d *decoder) set(f *field, path string, raw any, into reflect.Value) {
	raw, shown, ok := d.expand(f, path, raw)
	if !ok {
		return
	}
	v, err := parse(f, raw)
	if err == nil {
		err = f.check(v)
	}
	if err != nil {
		d.fault(path, err.Error()+shown.suffix(), f.hint(raw))
		return
	}
	to := into.FieldByIndex(f.index)
	value := reflect.ValueOf(v)
	if to.Kind() == reflect.Pointer {
		p := reflect.New(to.Type().Elem())
		p.Elem().Set(value)
		value = p
	}
	to.Set(value)
}

// parse turns a value of the file, or a text of the environment, into the type of its field.
func parse(f *field, raw any) (any, error) {
	s, isString := raw.(string)
	t, isText := raw.(text)
	if isText {
		s = string(t)
	}
	switch f.kind {
	case kindNumber:
		return parseNumber(raw)
	case kindDuration:
		if !isString && !isText {
			return nil, fmt.Errorf(`must be a duration in quotes, such as "8s"`)
		}
		return parseDuration(s)
	case kindSize:
		if n, isNumber := raw.(int64); isNumber {
			return parseSize(strconv.FormatInt(n, 10))
		}
		if !isString && !isText {
			return nil, fmt.Errorf(`must be a size such as "16MB"`)
		}
		return parseSize(s)
	case kindList:
		return parseList(raw)
	case kindCommand:
		return parseCommand(raw)
	case kindSecret, kindString:
	}
	if !isString && !isText {
		return nil, fmt.Errorf("must be a string in quotes")
	}
	if f.kind == kindSecret {
		return NewSecret(s), nil
	}
	return s, nil
}

func parseNumber(raw any) (any, error) {
	switch v := raw.(type) {
	case int64:
		return int(v), nil
	case text:
		if n, err := strconv.Atoi(string(v)); err == nil {
			return n, nil
		}
	}
	return nil, fmt.Errorf("must be a whole number")
}

// check holds the limits of a field.
func (f *field) check(v any) error {
	if s, ok := v.(string); ok && len(f.oneof) > 0 && !slices.Contains(f.oneof, s) {
		return fmt.Errorf("must be one of %s", orList(f.oneof))
	}
	n, ok := magnitude(v)
	if !ok {
		return nil
	}
	if least, _ := magnitude(mustParse(f, f.min)); f.min != "" && n < least {
		return fmt.Errorf("must be at least %s", f.min)
	}
	if most, _ := magnitude(mustParse(f, f.max)); f.max != "" && n > most {
		return fmt.Errorf("must be at most %s", f.max)
	}
	return nil
}

// mustParse reads a limit out of a tag; what does not parse there is no limit, which a test excludes.
func mustParse(f *field, limit string) any {
	v, err := parse(f, text(limit))
	if err != nil {
		return nil
	}
	return v
}

func magnitude(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case time.Duration:
		return int64(v), true
	case Size:
		return int64(v), true
	}
	return 0, false
}

// hint helps with a value that is none of those allowed.
func (f *field) hint(raw any) string {
	s := fmt.Sprint(raw)
	if near := nearest(s, f.oneof); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

func (d *decoder) fault(path, problem, hint string) {
	d.faults = append(d.faults, d.at(path, problem, hint))
}

func (d *decoder) warn(path, problem, hint string) {
	f := d.at(path, problem, hint)
	f.Warning = true
	d.faults = append(d.faults, f)
}

// at makes a fault with its place: that of the key, or else that of the table it would stand in.
func (d *decoder) at(path, problem, hint string) Fault {
	f := Fault{File: d.file, Key: path, Problem: problem, Hint: hint}
	for p := path; p != ""; p = parent(p) {
		if name, known := d.names[p]; known {
			f.Key = name
			break
		}
		if line, known := d.lines[p]; known {
			f.Line = line
			break
		}
	}
	return f
}

func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
