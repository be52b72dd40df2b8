package relay

// heedTag reads the tag of a command that is done. What a function has done in secret it does not say.
func (l *Link) heedTag(head Entry, tag []byte, whole bool) {
	if head&Injected == 0 {
		command, _, _ := cutString(tag)
		l.heedPins(tag, whole)
		l.sequences.draws(command)
		l.unit.sets = l.unit.sets || setsSomething(command)
		l.heedPrepared(tag)
	}
	switch {
	case dropsStatements(tag):
		l.dropStatements()
	case changesTables(tag):
		l.unit.altered = true
		l.texts().Altered()
	}
}

// committed tells once more that tables have changed: what others have parsed meanwhile was of before.
func (l *Link) committed() {
	if l.unit.altered {
		l.unit.altered = false
		l.texts().Altered()
	}
}

// dropsStatements reports whether a command has dropped all prepared statements.
func dropsStatements(tag []byte) bool {
	switch string(tag) {
	case "DEALLOCATE ALL\x00", "DISCARD ALL\x00":
		return true
	}
	return false
}

// setsSomething reports whether a command has changed settings, or may have run one that did.
func setsSomething(command []byte) bool {
	switch string(command) {
	case "SET", "RESET", "DO", "CALL":
		return true
	}
	return false
}

// changesTables reports whether a command has changed tables that prepared statements may depend on.
func changesTables(tag []byte) bool {
	if len(tag) == 0 {
		return false
	}
	switch tag[0] {
	case 'A':
		return begins(tag, "ALTER ")
	case 'C':
		return begins(tag, "CREATE ")
	case 'D':
		return begins(tag, "DROP ")
	case 'I':
		return begins(tag, "IMPORT ")
	}
	return false
}

// counts reports whether a tag is that of a command which says how many rows it has read or changed, and nothing else that heedTag heeds
// while nothing pins, but that it may have drawn a number of a sequence.
func counts(tag []byte) bool {
	if len(tag) < len("SEL") {
		return false
	}
	switch string(tag[:len("SEL")]) {
	case "SEL", "INS", "UPD", "DEL":
		return true
	}
	return false
}

// begins reports whether a tag begins with these words.
func begins(tag []byte, words string) bool {
	return len(tag) >= len(words) && string(tag[:len(words)]) == words
}

// Completed notes a command that was done on the server between two links, by its tag: a reset.
func (p *Prepared) Completed(tag []byte) {
	if dropsStatements(tag) {
		p.Forget()
	}
}
