package state

import (
	"runtime"
	"strings"
	"sync"
	"weak"
)

// Vector is an immutable, interned set of the reported parameters that a client wants or a server has. Two vectors of one
// Table are equal exactly when their pointers are. A parameter that is not known has the empty value and is never set, but for
// application_name, which may be empty: who has none must not bear that of whoever used the server before.
type Vector struct {
	values [tracked]string
}

// Table interns vectors. It keeps only those that somebody still holds. Its zero value is ready; it is safe for concurrent use.
type Table struct {
	mu struct {
		sync.Mutex
		byValue map[[tracked]string]weak.Pointer[Vector]
	}
}

// Empty returns the vector that knows no parameter.
func (t *Table) Empty() *Vector { return t.intern([tracked]string{}) }

// With returns the vector that differs from v in one parameter. It returns v itself when the parameter is not tracked or has
// that value already.
func (t *Table) With(v *Vector, name, value string) *Vector {
	i := index(name)
	if i < 0 || v.values[i] == value {
		return v
	}
	values := v.values
	values[i] = value
	return t.intern(values)
}

// Overlay returns base with every parameter that over knows.
func (t *Table) Overlay(base, over *Vector) *Vector {
	values := base.values
	for i, value := range over.values {
		if value != "" {
			values[i] = value
		}
	}
	return t.intern(values)
}

func (t *Table) intern(values [tracked]string) *Vector {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.mu.byValue[values].Value(); v != nil {
		return v
	}
	if t.mu.byValue == nil {
		t.mu.byValue = make(map[[tracked]string]weak.Pointer[Vector])
	}
	v := &Vector{values: values}
	t.mu.byValue[values] = weak.Make(v)
	runtime.AddCleanup(v, t.forget, values)
	return v
}

// forget drops the entry of a vector that nobody holds any more, unless it has been made anew since.
func (t *Table) forget(values [tracked]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.byValue[values].Value() == nil {
		delete(t.mu.byValue, values)
	}
}

// Len returns how many vectors are interned now.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.mu.byValue)
}

// Get returns the value of a parameter, "" when it is unknown or not tracked.
func (v *Vector) Get(name string) string {
	if i := index(name); i >= 0 {
		return v.values[i]
	}
	return ""
}

// Each calls f for every parameter that the vector knows, in a fixed order, under PostgreSQL's own spelling.
func (v *Vector) Each(f func(name, value string)) {
	for i, value := range v.values {
		if value != "" {
			f(trackedNames[i], value)
		}
	}
}

// AppendChange appends the SET statements that turn a server with the parameters of from into one with those of v, as the
// text of one simple Query: PostgreSQL runs such a string as one transaction, so that all of it holds or none. Parameters
// that v does not know are left alone; an application's name that it does not know is taken away.
func (v *Vector) AppendChange(dst []byte, from *Vector) []byte {
	for i, value := range v.values {
		if value == from.values[i] || value == "" && i != applicationName {
			continue
		}
		dst = append(dst, "SET "...)
		dst = append(dst, trackedNames[i]...)
		dst = append(dst, " TO "...)
		dst = appendLiteral(dst, value)
		dst = append(dst, ';')
	}
	return dst
}

// appendLiteral quotes a value so that it means the same whatever standard_conforming_strings says: a backslash forces the
// E” form.
func appendLiteral(dst []byte, s string) []byte {
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
