package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxFile bounds the size of a configuration, in bytes.
const maxFile = 4 << 20

// Load reads the configuration from a file, or from the environment when path is empty. environ is as of os.Environ. All faults
// come at once, in the order of their places. The Config is nil when one of them is more than a warning (see Failed).
func Load(path string, environ []string) (*Config, []Fault) {
	if path == "" {
		return FromEnvironment(environ)
	}
	doc, err := readFile(path)
	if err != nil {
		return nil, []Fault{{File: path, Problem: "cannot be read: " + err.Error()}}
	}
	return Parse(path, doc, environ)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unwrapPath(err)
	}
	defer f.Close()
	doc, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, unwrapPath(err)
	case len(doc) > maxFile:
		return nil, fmt.Errorf("it is longer than %d bytes", maxFile)
	}
	return doc, nil
}

// unwrapPath drops the path, which the fault has already.
func unwrapPath(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// Parse reads the text of a configuration file. name is its path: faults name it, and relative paths in it begin where it lies.
func Parse(name string, doc []byte, environ []string) (*Config, []Fault) {
	var tree map[string]any
	if _, err := toml.Decode(string(doc), &tree); err != nil {
		return nil, []Fault{syntaxFault(name, string(doc), err)}
	}
	d := &decoder{file: name, dir: filepath.Dir(name), lines: locate(doc), environ: variables(environ), files: newFiles()}
	return d.finish(tree)
}

// finish decodes, completes and checks.
func (d *decoder) finish(tree map[string]any) (*Config, []Fault) {
	cfg := d.decode(tree)
	cfg.origin = &origin{d, tree}
	c := checker{decoder: d, cfg: cfg, given: tree}
	c.complete()
	c.check()
	sortFaults(d.faults)
	if Failed(d.faults) {
		return nil, d.faults
	}
	c.warnings()
	sortFaults(d.faults)
	cfg.Listeners = slices.DeleteFunc(cfg.Listeners, func(l Listener) bool { return l.Address == "" })
	return cfg, d.faults
}

// secretWords are parts of a line that make its text unfit for a fault.
var secretWords = [...]string{"password", "secret"}

// syntaxFault is the fault of a text that is not TOML. The library's message may quote the text, which may be a secret.
func syntaxFault(name, doc string, err error) Fault {
	f := Fault{File: name, Problem: "is not valid TOML"}
	var p toml.ParseError
	if !errors.As(err, &p) {
		return f
	}
	f.Line = p.Position.Line
	lines := strings.Split(doc, "\n")
	context := strings.ToLower(p.LastKey)
	var contextSb95 strings.Builder
	for i := f.Line - 2; i < f.Line; i++ { // the line and the one before
		if i >= 0 && i < len(lines) {
			contextSb95.WriteString(strings.ToLower(lines[i]))
		}
	}
	context += contextSb95.String()
	for _, word := range secretWords {
		if strings.Contains(context, word) {
			f.Hint = `strings stand in double quotes: key = "value"`
			return f
		}
	}
	f.Problem = "is not valid TOML: " + p.Message
	return f
}

// variables makes a map of an environment.
func variables(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			m[name] = value
		}
	}
	return m
}
