package config

import (
	"cmp"
	"maps"
	"strings"
)

// origin is what a configuration was read from. It never changes.
type origin struct {
	*decoder
	tree map[string]any
}

// Refusal is why a setting cannot be changed by itself.
type Refusal uint8

// The reasons.
const (
	UnknownSetting Refusal = iota // there is none of that name
	OnlyReadWhole                 // it changes with the whole configuration: a secret, a command, what belongs to a listener
	NeedsRestart                  // a running router cannot take another value over
)

// SettingError says why With does not change a setting, whatever its value.
type SettingError struct {
	Key  string
	Why  Refusal
	Hint string // what may have been meant by an unknown one; may be empty
}

// Error returns the reason and the hint.
func (e *SettingError) Error() string {
	switch e.Why {
	case OnlyReadWhole:
		return e.Key + " changes with the whole configuration only"
	case NeedsRestart:
		return e.Key + " cannot be changed without a restart"
	case UnknownSetting:
	}
	return Fault{Problem: "there is no setting " + e.Key, Hint: e.Hint}.Text()
}

// With returns the configuration that would have been read if it had said something else of one setting: decoded, completed and checked
// as a whole. The key is one of Settings, or one that a database or user there could have; the value is written as in the environment.
// What the configuration names is not read again. With a fault there is no Config; the error is a *SettingError.
func (c *Config) With(key, value string) (*Config, []Fault, error) {
	path, f := c.locate(key)
	switch {
	case f == nil:
		return nil, nil, &SettingError{Key: key, Why: UnknownSetting, Hint: c.suggest(key)}
	case path == nil || f.kind == kindSecret || f.kind == kindCommand:
		return nil, nil, &SettingError{Key: key, Why: OnlyReadWhole}
	case f.restart:
		return nil, nil, &SettingError{Key: key, Why: NeedsRestart}
	}
	next, faults := c.origin.again(key).finish(changed(c.origin.tree, path, text(value)))
	return next, faults, nil
}

// locate finds a setting: its way through the tree, nil for what is not told apart there by its name, and its field, nil for none.
func (c *Config) locate(key string) (path []string, f *field) {
	if c.origin == nil {
		return nil, nil
	}
	for _, t := range c.tables() {
		name, inside := strings.CutPrefix(key, t.path+".")
		if !inside {
			continue
		}
		if f, _ = t.find(name); f == nil {
			continue
		}
		switch t.group {
		case groupTable:
			path = []string{t.name, name}
		case groupTables:
			path = append([]string{t.name, t.values.FieldByName("Name").String()}, strings.Split(name, ".")...)
		case groupArray:
		}
		return path, f
	}
	return nil, nil
}

// suggest says what somebody may have meant who names a setting that there is not; "" for no idea.
func (c *Config) suggest(key string) string {
	var known []string
	elsewhere := ""
	for _, t := range c.tables() {
		for i := range t.fields {
			known = append(known, t.path+"."+t.fields[i].key)
		}
	}
	for _, s := range sections() {
		if s.group != groupTable && strings.HasPrefix(key, s.name) {
			elsewhere = "a " + s.title() + " is added in the configuration file"
		}
	}
	return cmp.Or(meant(key, "", known), elsewhere)
}

// again returns a decoder that reads the same once more, where the value of one path comes from nowhere that could be named.
func (d *decoder) again(path string) *decoder {
	next := &decoder{file: d.file, dir: d.dir, environ: d.environ, lines: maps.Clone(d.lines), names: maps.Clone(d.names), files: d.files.clone()}
	delete(next.names, path)
	if next.lines != nil {
		next.lines[path] = 0
	}
	return next
}

// changed returns a tree that has a value at the end of a path and is the same otherwise.
func changed(tree map[string]any, path []string, value any) map[string]any {
	next := maps.Clone(tree)
	if next == nil {
		next = make(map[string]any)
	}
	if len(path) > 1 {
		value = changed(tableOf(tree, path[0]), path[1:], value)
	}
	next[path[0]] = value
	return next
}
