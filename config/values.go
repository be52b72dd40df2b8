package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// maxSecretFile bounds the size of a secret's file, in bytes.
const maxSecretFile = 64 << 10

// provenance is how a fault shows the value that it is about, without giving away what came from the environment.
type provenance struct {
	value string // as written in the file; "" shows nothing
	plain bool   // written without quotes
}

// maxShown bounds how much of a value a fault shows.
const maxShown = 60

func (p provenance) suffix() string {
	if p.value == "" {
		return ""
	}
	v := p.value
	if r := []rune(v); len(r) > maxShown {
		v = string(r[:maxShown]) + "…"
	}
	if p.plain {
		return ", is " + v
	}
	return fmt.Sprintf(", is %q", v)
}

// expand replaces values that read ${NAME} as a whole by what the environment has. Other values stay as they are, so that a
// password may contain anything but that.
func (d *decoder) expand(f *field, path string, raw any) (any, provenance, bool) {
	var from provenance
	if f.kind != kindSecret {
		from = scalar(raw)
	}
	if !f.expand {
		return raw, from, true
	}
	switch v := raw.(type) {
	case string:
		value, ok := d.variable(path, v)
		return value, from, ok
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
			if s, isString := v[i].(string); isString {
				value, ok := d.variable(element(path, i), s)
				if !ok {
					return nil, from, false
				}
				list[i] = value
			}
		}
		return list, from, true
	}
	return raw, from, true
}

// scalar returns a value as it is shown in faults; nothing for lists and tables.
func scalar(raw any) provenance {
	switch v := raw.(type) {
	case string:
		return provenance{value: v}
	case text:
		return provenance{value: string(v)}
	case int64, float64, bool:
		return provenance{value: fmt.Sprint(v), plain: true}
	}
	return provenance{}
}

func (d *decoder) variable(path, value string) (string, bool) {
	name, ok := variableName(value)
	if !ok {
		return value, true
	}
	set, ok := d.environ[name]
	if !ok {
		d.fault(path, "environment variable "+name+" is not set", "")
		return "", false
	}
	if d.taken == nil {
		d.taken = make(map[string]string)
	}
	d.taken[path] = value
	return set, true
}

// shown returns a value in quotes for a fault, or the variable that it came from.
func (d *decoder) shown(path, value string) string {
	if name, ok := d.taken[path]; ok {
		value = name
	}
	return fmt.Sprintf("%q", value)
}

// variableName returns NAME of ${NAME}.
func variableName(value string) (string, bool) {
	name, ok := strings.CutPrefix(value, "${")
	if !ok {
		return "", false
	}
	name, ok = strings.CutSuffix(name, "}")
	if !ok || !isBare(name) || strings.Contains(name, "-") {
		return "", false
	}
	return name, true
}

// parseList reads a list of strings; in the environment they stand between commas.
func parseList(raw any) (any, error) {
	list := []string{}
	switch v := raw.(type) {
	case text:
		for part := range strings.SplitSeq(string(v), ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list, nil
	case []any:
		for i := range v {
			s, ok := v[i].(string)
			if !ok || s == "" {
				return nil, errors.New(`must be a list of strings, such as ["a", "b"]`)
			}
			list = append(list, s)
		}
		return list, nil
	}
	return nil, errors.New(`must be a list of strings, such as ["a", "b"]`)
}

// parseCommand reads a command: a list is run as it is, a string by the shell.
func parseCommand(raw any) (any, error) {
	var line string
	switch v := raw.(type) {
	case text:
		line = string(v)
	case string:
		line = v
	default:
		list, err := parseList(raw)
		if err != nil {
			return nil, errors.New(`must be a list such as ["program", "argument"], or a string for the shell`)
		}
		return list, nil
	}
	if strings.TrimSpace(line) == "" {
		return []string{}, nil
	}
	return []string{"/bin/sh", "-c", line}, nil
}

// secretFile reads a secret out of its file. One newline at the end is not part of it.
func (d *decoder) secretFile(f *field, table string, values map[string]any, into reflect.Value) {
	path := join(table, f.name()+fileSuffix)
	if values[f.name()] != nil {
		d.fault(path, "stands beside "+f.name(), "give one of them")
		return
	}
	name, err := d.fileName(path, values[f.name()+fileSuffix])
	if err != nil {
		d.fault(path, err.Error(), "")
		return
	}
	if name == "" {
		return
	}
	secret, err := d.files.secret(name)
	if err != nil {
		d.fault(path, err.Error(), "")
		return
	}
	into.FieldByIndex(f.index).Set(reflect.ValueOf(secret))
}

// fileName reads the name of a file; "" when there is none, or when its variable is missing, which is reported.
func (d *decoder) fileName(path string, raw any) (string, error) {
	value, _, ok := d.expand(&field{expand: true}, path, raw)
	if !ok {
		return "", nil
	}
	v, err := parse(&field{kind: kindString}, value)
	if err != nil {
		return "", err
	}
	return d.beside(v.(string)), nil //nolint:forcetypeassert // parse returns a string for kindString
}

// beside returns a path that begins where the configuration lies.
func (d *decoder) beside(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(d.dir, path)
}

// files is what was found in the files that a configuration names. Each is looked at once: With decodes again, but reads nothing again.
type files struct {
	secrets map[string]Secret
	regular map[string]bool
}

func newFiles() files { return files{make(map[string]Secret), make(map[string]bool)} }

func (f files) clone() files { return files{maps.Clone(f.secrets), maps.Clone(f.regular)} }

// secret returns the secret that a file has.
func (f files) secret(name string) (Secret, error) {
	if secret, known := f.secrets[name]; known {
		return secret, nil
	}
	secret, err := readSecret(name)
	if err == nil {
		f.secrets[name] = secret
	}
	return secret, err
}

// isRegular says why a path could not be read as a file.
func (f files) isRegular(name string) error {
	if f.regular[name] {
		return nil
	}
	err := isRegular(name)
	f.regular[name] = err == nil
	return err
}

func readSecret(name string) (Secret, error) {
	if err := isRegular(name); err != nil {
		return Secret{}, err
	}
	f, err := os.Open(name)
	if err != nil {
		return Secret{}, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	switch {
	case err != nil:
		return Secret{}, fmt.Errorf("read %s: %w", name, err)
	case len(content) > maxSecretFile:
		return Secret{}, fmt.Errorf("file %s is longer than %d bytes", name, maxSecretFile)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if secret == "" {
		return Secret{}, fmt.Errorf("file %s is empty", name)
	}
	return NewSecret(secret), nil
}

// isRegular says why a path cannot be read as a file; reading a pipe or a device could last for ever.
func isRegular(name string) error {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", name)
	}
	return nil
}

// parent returns the path of the table that a path stands in; "" at the top.
func parent(path string) string {
	end := len(path) - 1
	if end >= 0 && path[end] == ']' {
		if i := strings.LastIndexByte(path, '['); i >= 0 {
			return path[:i]
		}
	}
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i]
	}
	return ""
}

// orList writes "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
