package config

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a configuration, or doubtful.
type Fault struct {
	File    string // the file, or "environment"
	Line    int    // 1-based; 0 when it is about the file as a whole or the environment
	Key     string // the key as one would write it, such as pool.size or listener[0].route; or the variable's name
	Problem string // what is wrong; never contains a secret
	Hint    string // what to do; may be empty
	Warning bool   // doubtful only: the configuration can be used
}

// String returns the fault as one line: place, key, what is wrong, and the hint in parentheses.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Warning {
		b.WriteString("warning: ")
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	return b.String() + f.Text()
}

// Text returns what is wrong, and the hint in parentheses.
func (f Fault) Text() string {
	if f.Hint == "" {
		return f.Problem
	}
	return f.Problem + " (" + f.Hint + ")"
}

// Fault makes a fault of what is wrong with a configuration although it reads well: an address that is taken, a list of users that
// cannot be read. The path is that of a key, such as auth.userlist; of a listener see ListenerPath.
func (c *Config) Fault(path, problem, hint string) Fault {
	if c.origin == nil {
		return Fault{File: c.Source, Key: path, Problem: problem, Hint: hint}
	}
	return c.origin.at(path, problem, hint)
}

// ListenerPath is the path of a listener in faults.
func ListenerPath(i int) string { return element("listener", i) }

// Failed reports whether there is a fault among them that is more than a warning.
func Failed(faults []Fault) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool { return !f.Warning })
}

// Error is the faults of one configuration as an error.
type Error struct{ Faults []Fault }

// Error returns all faults that are more than warnings, one a line.
func (e *Error) Error() string {
	var lines []string
	for _, f := range e.Faults {
		if !f.Warning {
			lines = append(lines, f.String())
		}
	}
	return strings.Join(lines, "\n")
}

// sortFaults puts faults in the order of their places.
func sortFaults(faults []Fault) {
	slices.SortStableFunc(faults, func(a, b Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Key, b.Key)
	})
}
