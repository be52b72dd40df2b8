package state

import (
	"slices"
	"strings"
)

// Touched is which settings a text may change for the rest of the session, however its transaction ends.
type Touched struct {
	// Settings that are named, in lower case. A name may be there twice: set and reset.
	Settings []Touch
	// All: every setting goes back to what the session began with, but for those that say as whom it acts.
	All bool
	// Unknown: a setting whose name cannot be read, or whose value cannot be read back.
	Unknown bool
}

// Touch is one setting that is touched.
type Touch struct {
	Name  string
	Reset bool // it goes back to what the session began with
}

// Add takes in what another text touches. Of what is too much to remember nothing is known.
func (t *Touched) Add(o *Touched) {
	t.All = t.All || o.All
	t.Unknown = t.Unknown || o.Unknown
	for _, touch := range o.Settings {
		t.add(touch)
	}
}

func (t *Touched) add(touch Touch) {
	switch {
	case slices.Contains(t.Settings, touch):
	case len(t.Settings) >= settingsLimit:
		t.Unknown = true
	default:
		t.Settings = append(t.Settings, touch)
	}
}

// Nothing reports whether no setting is touched.
func (t *Touched) Nothing() bool { return len(t.Settings) == 0 && !t.All && !t.Unknown }

// name notes a setting by its name. The characteristics of a transaction end with it. The seed of random numbers cannot be read
// back, nor a name that is not plain, or may be longer than an identifier.
func (t *Touched) name(name string, reset bool) {
	switch name {
	case "transaction_isolation", "transaction_read_only", "transaction_deferrable":
		return
	case SessionAuthorization: // which takes away the role
		t.add(Touch{Role, reset})
	case "seed":
		t.Unknown = true
	}
	if !plainName(name) {
		t.Unknown = true
		return
	}
	t.add(Touch{name, reset})
}

// plainName reports whether a name of a setting is one that every server takes as it stands.
func plainName(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		if part == "" || len(part) >= nameLimit || isDigit(part[0]) {
			return false
		}
		for i := range len(part) {
			if c := part[i]; c >= 0x80 || !isWord(c) {
				return false
			}
		}
	}
	return true
}

// ReadTouched reads which settings a text touches of which Classify has said that it touches some. Of a text that may be read in
// several ways nothing is known.
func ReadTouched(sql []byte) *Touched {
	c := collector{lexer: lexer{inside: true}}
	return c.read(sql)
}

// Shifts reports whether a text of which Classify has said that it calls set_config may change by that, be it for its transaction
// alone, what the texts behind it mean; see Vector.Scope.
func Shifts(sql []byte) bool {
	c := collector{lexer: lexer{inside: true}, locals: true}
	touched := c.read(sql)
	return touched.Unknown || slices.ContainsFunc(touched.Settings, func(t Touch) bool { return inScope(t.Name) })
}

func (c *collector) read(sql []byte) *Touched {
	for len(sql) > 0 {
		n, t := c.lexer.next(sql)
		sql = sql[n:]
		if t.kind == tokenParting {
			return &Touched{Unknown: true}
		}
		c.take(t)
	}
	for t := c.lexer.end(); t.kind != tokenNone; t = c.lexer.end() {
		c.take(t)
	}
	c.endStatement()
	return &c.touched
}

// collector collects what statements touch. It keeps tokens as strings: words in lower case, identifiers with their first quote, of
// a string only its quote. What stands in a string matters in a call alone.
type collector struct {
	lexer   lexer
	touched Touched
	words   []string // of this statement, as many as matter
	last    string
	call    configCall
	locals  bool // what set_config sets for its transaction is collected too
}

// wordsLimit is how many tokens of a SET matter: SET SESSION SESSION AUTHORIZATION and one more, or a name of some parts.
const wordsLimit = 16

func (c *collector) take(t token) {
	switch t.kind {
	case tokenInside:
		c.call.inside(t.text)
		return
	case tokenNone, tokenEnd, tokenParting:
		return
	default:
	}
	if t.sign(';') {
		c.endStatement()
		return
	}
	word := written(t)
	c.call.take(&c.touched, word)
	if word == "(" && strings.TrimPrefix(c.last, `"`) == "set_config" {
		c.beginCall()
	}
	if len(c.words) < wordsLimit {
		c.words = append(c.words, word)
	}
	c.last = word
}

// beginCall begins to read the arguments of set_config. What a prepared statement touches it touches later.
func (c *collector) beginCall() {
	if c.words[0] == "prepare" || c.call.depth > 0 {
		c.touched.Unknown = true
	}
	c.call = configCall{depth: 1, locals: c.locals}
}

func written(t token) string {
	switch t.kind {
	case tokenWord:
		return strings.ToLower(string(t.text))
	case tokenQuoted:
		return `"` + strings.ToLower(string(t.text))
	case tokenString:
		return "'"
	case tokenSign:
		return string(rune(t.char))
	default: // what cannot be read pins by itself
		return "?"
	}
}

func (c *collector) endStatement() {
	if c.call.depth > 0 {
		c.touched.Unknown = true
	}
	if len(c.words) > 0 {
		switch c.words[0] {
		case "set":
			c.touched.set(c.words[1:])
		case "reset":
			c.touched.reset(c.words[1:])
		case "discard":
			if at(c.words, 1) == "all" {
				c.touched.All = true
				c.touched.name(SessionAuthorization, true)
			}
		}
	}
	c.words, c.last, c.call = nil, "", configCall{}
}

// at returns a word, "" behind the last.
func at(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}

// set reads what stands behind SET. Its words are no reserved ones: before a dot each is the first half of a setting's name.
func (t *Touched) set(words []string) {
	if at(words, 1) != "." && at(words, 0) == "local" {
		return
	}
	if next := at(words, 1); at(words, 0) == "session" && next != "." && next != "authorization" && next != "characteristics" {
		words = words[1:]
	}
	if at(words, 1) == "." {
		t.named(words)
		return
	}
	last := ""
	if len(words) > 0 {
		last = words[len(words)-1]
	}
	reset := last == "default" || last == "local"
	switch at(words, 0) {
	case "transaction", "constraints":
	case "time":
		t.name("timezone", reset)
	case "names":
		t.name("client_encoding", reset || len(words) == 1)
	case "schema":
		t.name("search_path", false)
	case "xml":
		t.name("xmloption", false)
	case "session":
		t.session(at(words, 1), reset)
	default:
		t.named(words)
	}
}

// session reads what stands behind SESSION where it is no setting's name.
func (t *Touched) session(word string, reset bool) {
	if word == "authorization" {
		t.name(SessionAuthorization, reset)
		return
	}
	for _, name := range [...]string{"default_transaction_isolation", "default_transaction_read_only", "default_transaction_deferrable"} {
		t.name(name, false)
	}
}

// named reads a setting's name and what stands behind it.
func (t *Touched) named(words []string) {
	name, rest := nameOf(words)
	to := at(rest, 0) == "to" || at(rest, 0) == "="
	t.name(name, to && len(rest) == 2 && rest[1] == "default")
}

// nameOf puts a setting's name together from its parts.
func nameOf(words []string) (name string, rest []string) {
	parts, rest := []string{strings.TrimPrefix(at(words, 0), `"`)}, words[min(1, len(words)):]
	for len(rest) > 1 && rest[0] == "." {
		parts, rest = append(parts, strings.TrimPrefix(rest[1], `"`)), rest[2:]
	}
	return strings.Join(parts, "."), rest
}

// reset reads what stands behind RESET.
func (t *Touched) reset(words []string) {
	name, rest := nameOf(words)
	switch next := at(rest, 0); {
	case name == "all" && len(rest) == 0:
		t.All = true
	case name == "time" && next == "zone":
		t.name("timezone", true)
	case name == "session" && next == "authorization":
		t.name(SessionAuthorization, true)
	case name == "transaction" && next == "isolation":
	default:
		t.name(name, true)
	}
}

// configCall is a call of set_config that is being read: its setting is known if the first argument is one string, and it is local
// when the third is the word true and nothing more.
type configCall struct {
	depth     int // of parentheses; 0: there is none
	commas    int
	arguments [3][]string // the tokens of the first and the third
	locals    bool
}

func (c *configCall) take(t *Touched, word string) {
	switch {
	case c.depth == 0:
		return
	case word == "(" || word == "[":
		c.depth++
	case word == ")" || word == "]":
		c.depth--
		if c.depth == 0 {
			c.end(t)
			return
		}
	case word == "," && c.depth == 1:
		c.commas++
		return
	}
	if c.commas < len(c.arguments) {
		if arg := &c.arguments[c.commas]; len(*arg) < wordsLimit {
			*arg = append(*arg, word)
		}
	}
}

// inside takes a piece of the string that has begun.
func (c *configCall) inside(piece []byte) {
	if c.depth == 0 || c.commas > 0 {
		return
	}
	switch arg := c.arguments[0]; {
	case len(arg) != 1:
	case len(arg[0])+len(piece) > wordsLimit*nameLimit: // no setting is called so
		arg[0] = "?"
	default:
		arg[0] += string(piece)
	}
}

func (c *configCall) end(t *Touched) {
	name, local := c.arguments[0], c.arguments[2]
	switch {
	case len(local) == 1 && local[0] == "true" && !c.locals:
	case len(name) == 1 && name[0][0] == '\'':
		t.name(strings.ToLower(name[0][1:]), false)
	default:
		t.Unknown = true
	}
}
