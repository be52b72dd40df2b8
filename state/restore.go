package state

// Resets reports whether settings go back to what the session began with.
func (t *Touched) Resets() bool {
	if t.All {
		return true
	}
	for _, touch := range t.Settings {
		if touch.Reset {
			return true
		}
	}
	return false
}

// Has reports whether a setting is touched by its name.
func (t *Touched) Has(name string) bool {
	for _, touch := range t.Settings {
		if touch.Name == name {
			return true
		}
	}
	return false
}

// Extensible reports whether a statement can be put behind a text: it has no quotes and no comments, so that it ends where it seems
// to.
func Extensible(sql []byte) bool {
	for _, c := range sql {
		switch {
		case isWord(c) && c < 0x80 && c != '$', isSpace(c), c == '=', c == '.', c == ';':
		default:
			return false
		}
	}
	return true
}
