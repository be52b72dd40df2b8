package relay

import "bytes"

// Tags of commands that prepared statements depend on. Constant.
var (
	tagDeallocateAll = []byte("DEALLOCATE ALL\x00")
	tagDiscardAll    = []byte("DISCARD ALL\x00")
	tagsOfChanges    = [...][]byte{[]byte("ALTER "), []byte("CREATE "), []byte("DROP "), []byte("IMPORT ")}
)

// heedTag reads the tag of a command that is done. What a function has done in secret it does not say.
func (l *Link) heedTag(head Entry, tag []byte, whole bool) {
	if head&Injected == 0 {
		l.heedPins(tag, whole)
		l.sequences.draws(tag)
	}
	switch {
	case head&Injected == 0 && setsSomething(tag):
		l.unit.sets = true
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
	return len(tag) > 0 && tag[0] == 'D' && (bytes.Equal(tag, tagDeallocateAll) || bytes.Equal(tag, tagDiscardAll))
}

// setsSomething reports whether a command has changed settings, or may have run one that did.
func setsSomething(tag []byte) bool {
	command, _, _ := cutString(tag)
	switch string(command) {
	case "SET", "RESET", "DO", "CALL":
		return true
	}
	return false
}

func changesTables(tag []byte) bool {
	for _, begin := range tagsOfChanges {
		if bytes.HasPrefix(tag, begin) {
			return true
		}
	}
	return false
}

// Completed notes a command that was done on the server between two links, by its tag: a reset.
func (p *Prepared) Completed(tag []byte) {
	if dropsStatements(tag) {
		p.Forget()
	}
}
