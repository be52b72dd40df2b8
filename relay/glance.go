package relay

import "github.com/pgrouter/pgrouter/state"

// glanced is what Begin has seen at a glance of the first message of a unit of work, until that is admitted: its text is the only one of
// most units, and waits perhaps for a server in between.
type glanced struct {
	known   bool // there is a glance at its text
	recalls bool // what recall said of it, whatever it is
	state.Glance
}

// glance looks at the first message of a unit, and at its text. One that is not here to its end is looked at again. What repeats the unnamed
// statement is not looked at: what that does is known, see judgeUnnamed.
func (l *Link) glance(kind EntryKind, body []byte, whole bool) {
	l.glanced.known = false
	if whole && (kind == EntryQuery || kind == EntryParse && !l.unnamed.repeats(body)) {
		l.glanced = glanced{known: true, Glance: state.GlanceAt(fromText(kind, body))}
	}
	l.glanced.recalls = l.recall(kind, body)
}

// glanceAt returns what can be seen at a glance in the text of a Query or a Parse.
func (l *Link) glanceAt(kind EntryKind, body []byte) state.Glance {
	if l.glanced.known {
		return l.glanced.Glance
	}
	return state.GlanceAt(fromText(kind, body))
}

// fromText returns the body of a Query or a Parse from its text on.
func fromText(kind EntryKind, body []byte) []byte {
	if kind == EntryParse {
		_, body, _ = cutString(body)
	}
	return body
}
