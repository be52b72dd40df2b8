package state

// Glance is what one quick look at a text tells, in strings and comments too. It says of most texts that nothing stands in them which
// has to be read.
type Glance struct {
	// Recalls: the text, or what stands behind its end, mentions currval or lastval. It may ask for a number that the session has drawn from
	// a sequence before.
	Recalls bool

	suspect   bool // a judge may find a name that means something
	semicolon int  // where the first one stands, be it behind the text; -1 when there is none
	length    int  // of the text in bytes
}

// Text returns the text of b, at which the glance was taken.
func (g Glance) Text(b []byte) []byte { return b[:g.length] }

// watched marks the bytes around which may stand what a glance looks for. Constant table.
var watched = [256]uint8{0: 1, ';': 1, '_': 1, '&': 1, 'p': 1, 'P': 1, 'v': 1, 'V': 1}

// GlanceAt looks once at each byte of b, which is a text, or begins with one that ends with a NUL. It does not allocate.
func GlanceAt(b []byte) Glance {
	g := Glance{semicolon: -1, length: len(b)}
	at := 0
	for ; at+8 <= len(b); at += 8 {
		p := (*[8]byte)(b[at:])
		if watched[p[0]]|watched[p[1]]|watched[p[2]]|watched[p[3]]|watched[p[4]]|watched[p[5]]|watched[p[6]]|watched[p[7]] != 0 {
			g.heed(b, at, at+8)
		}
	}
	g.heed(b, at, len(b))
	return g
}

// heed looks for watched bytes in a piece of b.
func (g *Glance) heed(b []byte, at, end int) {
	for ; at < end; at++ {
		if watched[b[at]] != 0 {
			g.heedAt(b, at)
		}
	}
}

// heedAt looks at what stands around a watched byte. Names are told by fragments.
func (g *Glance) heedAt(b []byte, at int) {
	switch c := b[at]; {
	case c|0x20 == 'p':
		g.suspect = g.suspect || at > 0 && b[at-1]|0x20 == 'm' && endsFold(b[:at], "tem")
	case c == 0:
		g.length = min(g.length, at)
	case c == ';':
		if g.semicolon < 0 {
			g.semicolon = at
		}
	case c == '_':
		g.suspect = g.suspect || suspectAt(b[:at], b[at+1:])
	case c == '&': // of an identifier in U&""
		g.suspect = g.suspect || at+1 < len(b) && b[at+1] == '"'
	default: // v, V
		if beginsFold(b[at+1:], "al") && (endsFold(b[:at], "curr") || endsFold(b[:at], "last")) {
			g.Recalls, g.suspect = true, true
		}
	}
}

// suspects are the two sides of an underscore that each name has which meaningOf knows. Constant table.
var suspects = [...]struct{ before, behind string }{
	{"advisory", "lock"}, {"advisory", "unlock"}, {"set", "config"}, {"pg", "temp"},
	{"backup", "start"}, {"start", "backup"}, {"session", "setup"}, {"dblink", "connect"}, {"replication", "slot"},
	{"pg", "settings"},
}

// suspectAt judges the two sides of an underscore. Most are told by one letter.
func suspectAt(before, behind []byte) bool {
	if len(behind) == 0 {
		return false
	}
	switch behind[0] | 0x20 {
	case 'l', 'u', 'c', 't', 's', 'b': // all that suspects go on with
	default:
		return false
	}
	for i := range suspects {
		if beginsFold(behind, suspects[i].behind) && endsFold(before, suspects[i].before) {
			return true
		}
	}
	return false
}
