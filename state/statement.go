package state

import (
	"bytes"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"weak"

	"github.com/pgrouter/pgrouter/pgwire"
)

// StatementPrefix is what the names of statements on servers begin with. No name of a client's reaches a server under it.
const StatementPrefix = "pgr"

// Statement is a prepared statement as clients have it behind a name: a text with its parameter types, and the circumstances under
// which it was parsed, because a literal means what the settings of that moment say. It never changes, and equal is the same
// pointer.
type Statement struct {
	name     string // on servers, the same on all of them
	parse    string // of a Parse what stands behind the name: the text, and the types of the parameters; "" when it is not shared
	class    Class
	touched  *Touched // the settings that it touches when it is run; nil: none
	readOnly bool
	recalls  bool
	borrows  bool
	names    bool
	shifts   bool
}

// Name returns the name under which servers have the statement.
func (s *Statement) Name() string { return s.name }

// Parse returns what stands behind the name in a Parse of it.
func (s *Statement) Parse() string { return s.parse }

// SQL returns its text.
func (s *Statement) SQL() string {
	text, _, _ := strings.Cut(s.parse, "\x00")
	return text
}

// Class returns what is known of its text, as Classify says.
func (s *Statement) Class() Class { return s.class }

// ReadOnly reports whether its text changes nothing in a database, as the function ReadOnly says.
func (s *Statement) ReadOnly() bool { return s.readOnly }

// Recalls reports whether its text may ask for a number of a sequence, see Glance.Recalls.
func (s *Statement) Recalls() bool { return s.recalls }

// Borrows reports whether its rows are those of something else of the session's, as the function Borrows says.
func (s *Statement) Borrows() bool { return s.borrows }

// NamesPrepared reports whether its text may name what SQL has prepared, as the function NamesPrepared says.
func (s *Statement) NamesPrepared() bool { return s.names }

// Touched returns the settings that its text touches when it is run, nil when there are none. It is not to be changed.
func (s *Statement) Touched() *Touched { return s.touched }

// Shifts reports whether what is parsed behind it may mean something else, as the function Shifts says.
func (s *Statement) Shifts() bool { return s.shifts }

// Shared reports whether it can be prepared on another server, for another client: its text is at hand.
func (s *Statement) Shared() bool { return s.parse != "" }

// AppendParse appends the Parse that makes the statement on a server.
func (s *Statement) AppendParse(dst []byte) []byte {
	return append(pgwire.AppendRenamed(dst, pgwire.KindParse, nil, s.name, len(s.parse)), s.parse...)
}

// Statements interns statements. It keeps only those that somebody still holds. Its zero value is ready; it is safe for concurrent
// use.
type Statements struct {
	mu struct {
		sync.Mutex
		byKey map[statementKey]weak.Pointer[Statement]
		last  uint64 // the number of the last one
		bytes int
	}
}

// statementKey is what makes two statements the same.
type statementKey struct {
	scope      string
	generation uint64
	parse      string
}

// Intern returns the statement that a Parse with this behind its name makes. scope is what of the settings its meaning depends on, see
// Vector.Scope; generation tells apart what was parsed before and after a change of tables.
func (t *Statements) Intern(scope string, generation uint64, parse []byte) *Statement {
	key := statementKey{scope, generation, string(parse)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.mu.byKey[key].Value(); s != nil {
		return s
	}
	if t.mu.byKey == nil {
		t.mu.byKey = make(map[statementKey]weak.Pointer[Statement])
	}
	s := t.newLocked(key.parse)
	if _, dying := t.mu.byKey[key]; !dying {
		t.mu.bytes += len(key.parse)
	}
	t.mu.byKey[key] = weak.Make(s)
	runtime.AddCleanup(s, t.forget, key)
	return s
}

// Alone returns a statement that is like no other, because it is parsed under settings that nobody knows, or borrows its rows. Its text
// is kept, so that it can be prepared elsewhere.
func (t *Statements) Alone(parse []byte) *Statement {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.newLocked(string(parse))
}

// Unshared returns a statement whose text is not kept, because it is too long. It can be had on one server only, and may do anything.
func (t *Statements) Unshared() *Statement {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &Statement{name: t.nameLocked(), class: Class{MayEnd: true}}
}

func (t *Statements) newLocked(parse string) *Statement {
	text, _, _ := bytes.Cut([]byte(parse), zero)
	glance := GlanceAt(text)
	s := &Statement{
		name: t.nameLocked(), parse: parse, class: glance.Classify(text), readOnly: ReadOnly(text), recalls: glance.Recalls, borrows: Borrows(text),
		names: NamesPrepared(text),
	}
	if s.class.Touches {
		s.touched = ReadTouched(text)
	}
	s.shifts = s.class.Sets && Shifts(text)
	return s
}

// nameLocked returns a name that no server has seen.
func (t *Statements) nameLocked() string {
	t.mu.last++
	return StatementPrefix + strconv.FormatUint(t.mu.last, 36)
}

// forget drops the entry of a statement that nobody holds any more, unless it has been made anew since.
func (t *Statements) forget(key statementKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p, known := t.mu.byKey[key]; known && p.Value() == nil {
		delete(t.mu.byKey, key)
		t.mu.bytes -= len(key.parse)
	}
}

// Size returns how many statements are interned now, and the bytes of their texts.
func (t *Statements) Size() (count, bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.mu.byKey), t.mu.bytes
}

// zero ends a query string. Constant.
var zero = []byte{0}

// Scope returns what of a client's settings the meaning of a text depends on when it is parsed: how its bytes and strings are read,
// what dates stand in its literals, where its names are looked for and as whom. An application's name is no part of it, nor are
// limits of time and settings of the session's own.
func (v *Vector) Scope() string {
	var scope []byte
	for i, value := range v.tracked {
		if i != applicationName {
			scope = append(append(scope, value...), 0)
		}
	}
	for _, s := range v.Settings() {
		if inScope(s.Name) {
			scope = append(append(append(append(scope, s.Name...), 0), s.Value...), 0)
		}
	}
	return string(scope)
}

// inScope reports whether a setting that is not tracked is part of the scope.
func inScope(name string) bool { return !limitsTime(name) && !strings.Contains(name, ".") }
