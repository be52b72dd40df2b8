package state

import "bytes"

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

// rare marks the bytes around which may stand what a glance looks for. Constant table.
var rare = [256]uint8{0: 1, ';': 1, '_': 1, '&': 1, 'p': 1, 'P': 1, 'v': 1, 'V': 1}

// GlanceAt looks once at each byte of b, which is a text, or begins with one that ends with a NUL. It does not allocate.
func GlanceAt(b []byte) Glance {
	g := Glance{semicolon: -1, length: len(b)}
	at := 0
	for ; at+8 <= len(b); at += 8 {
		p := (*[8]byte)(b[at:])
		if rare[p[0]]|rare[p[1]]|rare[p[2]]|rare[p[3]]|rare[p[4]]|rare[p[5]]|rare[p[6]]|rare[p[7]] != 0 {
			g.heed(b, at, at+8)
		}
	}
	g.heed(b, at, len(b))
	return g
}

// heed looks for rare bytes in a piece of b.
func (g *Glance) heed(b []byte, at, end int) {
	for ; at < end; at++ {
		if rare[b[at]] != 0 {
			g.heedAt(b, at)
		}
	}
}

// heedAt looks at what stands around a rare byte. Names are told by fragments.
func (g *Glance) heedAt(b []byte, at int) {
	before, behind := b[:at], b[at+1:]
	switch b[at] {
	case 0:
		g.length = min(g.length, at)
	case ';':
		if g.semicolon < 0 {
			g.semicolon = at
		}
	case '_':
		g.suspect = g.suspect || suspectAt(before, behind)
	case '&': // of an identifier in U&""
		g.suspect = g.suspect || len(behind) > 0 && behind[0] == '"'
	case 'p', 'P':
		g.suspect = g.suspect || at > 0 && before[at-1]|0x20 == 'm' && endsFold(before, "tem")
	default: // v, V
		if beginsFold(behind, "al") && (endsFold(before, "curr") || endsFold(before, "last")) {
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
	case 'l', 'u', 'c', 't', 's', 'b':
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

// mentions looks for a word in any case, in strings and comments too, by one of its letters that is rare and the one in front of
// that.
func mentions(sql []byte, before string, rare byte, behind string) bool {
	return mentionsBy(sql, before, rare, behind) || mentionsBy(sql, before, rare-'a'+'A', behind)
}

func mentionsBy(sql []byte, before string, letter byte, behind string) bool {
	last := before[len(before)-1]
	for at := 0; ; at++ {
		i := bytes.IndexByte(sql[at:], letter)
		if i < 0 {
			return false
		}
		at += i
		if at > 0 && sql[at-1]|0x20 == last && endsFold(sql[:at], before) && beginsFold(sql[at+1:], behind) {
			return true
		}
	}
}
