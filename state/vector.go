package state

import (
	"runtime"
	"sync"
	"weak"
)

// Vector is an immutable, interned set of the settings that a client wants or a server has. Two vectors of one Table are equal
// exactly when their pointers are. Some are tracked: their values are known from what servers report. One that is not known has
// the empty value and is never set, but for application_name, which may be empty: who has none must not bear that of whoever used
// the server before. All others that a session has set are in a list (Settings); what is not there stands at the server's default.
type Vector struct {
	contents
}

// contents tell vectors apart. The list is empty for most sessions, which makes it cheap.
type contents struct {
	tracked [trackedCount]string
	list    string // of Setting, sorted by name, each name and value ended by settingEnd
}

// Table interns vectors. It keeps only those that somebody still holds. Its zero value is ready; it is safe for concurrent use.
type Table struct {
	mu struct {
		sync.Mutex
		byContents map[contents]weak.Pointer[Vector]
	}
}

// Empty returns the vector that knows no parameter.
func (t *Table) Empty() *Vector { return t.intern(contents{}) }

// With returns the vector that differs from v in one parameter. It returns v itself when the parameter is not tracked or has
// that value already.
func (t *Table) With(v *Vector, name, value string) *Vector {
	i := index(name)
	if i < 0 || v.tracked[i] == value {
		return v
	}
	c := v.contents
	c.tracked[i] = value
	return t.intern(c)
}

// Overlay returns base with every tracked parameter that over knows, and all the other settings of over.
func (t *Table) Overlay(base, over *Vector) *Vector {
	c := contents{tracked: base.tracked, list: over.list}
	for i, value := range over.tracked {
		if value != "" {
			c.tracked[i] = value
		}
	}
	return t.intern(c)
}

func (t *Table) intern(c contents) *Vector {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.mu.byContents[c].Value(); v != nil {
		return v
	}
	if t.mu.byContents == nil {
		t.mu.byContents = make(map[contents]weak.Pointer[Vector])
	}
	v := &Vector{contents: c}
	t.mu.byContents[c] = weak.Make(v)
	runtime.AddCleanup(v, t.forget, c)
	return v
}

// forget drops the entry of a vector that nobody holds any more, unless it has been made anew since.
func (t *Table) forget(c contents) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.byContents[c].Value() == nil {
		delete(t.mu.byContents, c)
	}
}

// Len returns how many vectors are interned now.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.mu.byContents)
}

// Get returns the value of a tracked parameter, "" when it is unknown or not tracked.
func (v *Vector) Get(name string) string {
	if i := index(name); i >= 0 {
		return v.tracked[i]
	}
	return ""
}

// Each calls f for every tracked parameter that the vector knows, in a fixed order, under PostgreSQL's own spelling.
func (v *Vector) Each(f func(name, value string)) {
	for i, value := range v.tracked {
		if value != "" {
			f(trackedNames[i], value)
		}
	}
}
