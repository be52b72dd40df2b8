package state

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// Preparation is a statement that SQL's PREPARE has made.
type Preparation struct {
	Name      string
	Statement *Statement // its text is that of PREPARE, see PreparationOf
	Under     *Vector    // the settings under which it was made
}

// Preparations are what SQL has prepared in a session, or what a server has of that. They never change; nil are none.
type Preparations struct {
	list []Preparation // by name
}

// NewPreparations returns those of a list, which belongs to them from then on.
func NewPreparations(list []Preparation) *Preparations {
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b Preparation) int { return strings.Compare(a.Name, b.Name) })
	return &Preparations{list}
}

// All returns them by name. The list is not to be changed.
func (p *Preparations) All() []Preparation {
	if p == nil {
		return nil
	}
	return p.list
}

// Find returns the one of a name.
func (p *Preparations) Find(name string) (Preparation, bool) {
	i, ok := slices.BinarySearchFunc(p.All(), name, func(q Preparation, name string) int { return strings.Compare(q.Name, name) })
	if !ok {
		return Preparation{}, false
	}
	return p.list[i], true
}

// Has reports whether the very same statement is among them.
func (p *Preparations) Has(q Preparation) bool {
	found, ok := p.Find(q.Name)
	return ok && found.Statement == q.Statement
}

// Without returns them but for the one of a name.
func (p *Preparations) Without(name string) *Preparations {
	return NewPreparations(slices.DeleteFunc(slices.Clone(p.All()), func(q Preparation) bool { return q.Name == name }))
}

// NamesPrepared reports whether a text may name what SQL has prepared, or ask for a list of it: by words that may stand in strings too.
func NamesPrepared(sql []byte) bool {
	return Executes(sql) || mentions(sql, "re", 'p', "are") || mentions(sql, "allo", 'c', "ate")
}

// Executes reports whether a text may run what is prepared: it mentions EXECUTE, in strings and comments too.
func Executes(sql []byte) bool { return mentions(sql, "e", 'x', "ecute") }

// furthest limits the blanks in front of a statement that was cut out of a query string, in characters: they count as its text.
const furthest = 512

// PreparationOf finds, in a query string, the one statement that prepares a name. In front of it stand blanks, as many as there were
// characters: an error that PostgreSQL finds in it later tells its place in the whole string. Where that were more than 512 there are none.
// ok is false when it cannot be told which statement that is.
func PreparationOf(sql []byte, name string) (text []byte, ok bool) {
	r := preparationReader{name: name}
	l := lexer{how: readStandard}
	begin, at := 0, 0
	for at < len(sql) {
		n, t := l.next(sql[at:])
		at += n
		switch {
		case t.kind == tokenObscure:
			return nil, false
		case t.sign(';'):
			r.end(sql, begin, at-1)
			begin = at
		default:
			r.take(t)
		}
	}
	for t := l.end(); t.kind != tokenNone; t = l.end() {
		r.take(t)
	}
	r.end(sql, begin, len(sql))
	switch {
	case r.found != 1:
		return nil, false
	case r.statements == 1:
		return sql, true
	}
	// What a backslash means in it is not known: it may be cut in the middle of a string.
	return r.text, bytes.IndexByte(sql, '\\') < 0
}

// preparationReader looks for PREPARE of a name.
type preparationReader struct {
	name       string
	tokens     int // of the statement so far
	prepares   bool
	named      bool
	statements int
	found      int
	text       []byte
}

func (r *preparationReader) take(t token) {
	if t.kind == tokenNone {
		return
	}
	r.tokens++
	switch r.tokens {
	case 1:
		r.prepares = t.is("prepare")
	case 2:
		r.named = r.prepares && identifier(t) == r.name
	}
}

// end takes note of what stands between two places of a query string.
func (r *preparationReader) end(sql []byte, from, to int) {
	if r.tokens > 0 {
		r.statements++
	}
	if r.named {
		r.found++
		r.text = placed(sql[from:to], utf8.RuneCount(sql[:from]))
	}
	r.tokens, r.prepares, r.named = 0, false, false
}

// placed returns a statement behind as many blanks as characters stand in front of it.
func placed(statement []byte, before int) []byte {
	for len(statement) > 0 && isSpace(statement[0]) {
		statement, before = statement[1:], before+1
	}
	for n := len(statement) - 1; n >= 0 && isSpace(statement[n]); n-- {
		statement = statement[:n]
	}
	if before > furthest {
		before = 0
	}
	return append(bytes.Repeat([]byte{' '}, before), statement...)
}

// identifier returns the name that a token is, as PostgreSQL keeps it; "" when it is none.
func identifier(t token) string {
	switch t.kind {
	case tokenWord:
		return strings.ToLower(string(t.text))
	case tokenQuoted:
		return string(t.text)
	default:
		return ""
	}
}

// LocalChanges returns the statements that give a transaction, on a server with what is in from, the settings of v which decide what the
// text of a statement means when it is prepared. Where names are looked for, as whom, and whether policies of rows hold, is not among them:
// PostgreSQL looks again when that changes.
func (v *Vector) LocalChanges(from *Vector) []string {
	var changes []string
	for i, value := range v.tracked {
		if i != applicationName && value != "" && value != from.tracked[i] {
			changes = append(changes, "SET LOCAL "+trackedNames[i]+" TO "+string(AppendLiteral(nil, value)))
		}
	}
	for _, s := range from.Settings() {
		if _, kept := v.Setting(s.Name); !kept && decidesMeaning(s.Name) {
			changes = append(changes, `SET LOCAL "`+strings.ReplaceAll(s.Name, `"`, `""`)+`" TO DEFAULT`)
		}
	}
	for _, s := range v.Settings() {
		if !sameSetting(v, from, s.Name) && decidesMeaning(s.Name) {
			changes = append(changes, "SELECT pg_catalog.set_config("+string(AppendLiteral(nil, s.Name))+","+string(AppendLiteral(nil, s.Value))+",true)")
		}
	}
	return changes
}

// decidesMeaning reports whether what a text means may depend on a setting for good.
func decidesMeaning(name string) bool {
	switch name {
	case Role, SessionAuthorization, "search_path", "row_security":
		return false
	}
	return !limitsTime(name) && !strings.Contains(name, ".")
}
