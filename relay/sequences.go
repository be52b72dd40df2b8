package relay

import "github.com/pgrouter/pgrouter/state"

// sequences is what must be known of a server's numbers of sequences, which PostgreSQL keeps for its session: currval and lastval tell
// what nextval has drawn there. Somebody else's numbers must not be told.
type sequences struct {
	foreign bool // somebody else may have drawn here since the client has
	mustGo  bool // DISCARD SEQUENCES stands before the client's next message
	drawn   bool // the unit has done what may draw a number: what it asks for then is its own
}

// discardSequences makes PostgreSQL answer 55000, as to who has drawn no number. It is allowed in a transaction block. Constant.
var discardSequences = []byte("Q\x00\x00\x00\x16DISCARD SEQUENCES\x00")

// Foreign notes that others have used the server since the client's last unit of work, or that the client has used another.
func (l *Link) Foreign() { l.sequences.foreign = true }

// nextUnit is for a session that keeps its server. What it may have drawn in the unit that ends is its own.
func (q *sequences) nextUnit() {
	q.foreign = q.foreign && !q.drawn
	q.drawn = false
}

// Recalls reports whether the unit of work that begins, after Begin has said Start, may ask for a number of a sequence: it should get the
// server of the last.
func (l *Link) Recalls() bool { return l.glanced.recalls }

// recall reports whether a message may ask for a number, by words that may stand in strings too.
func (l *Link) recall(kind EntryKind, body []byte) bool {
	switch kind {
	case EntryQuery, EntryParse:
		return l.textRecalls(kind, body) || l.sql.recalls && state.Executes(body)
	case EntryBind:
		_, rest, _ := cutString(body)
		if name, _, ok := cutString(rest); ok && len(name) > 0 {
			return l.nameRecalls(name)
		}
		return l.doesUnnamed().recalls || l.sql.recalls && state.Executes(l.unnamedText())
	default:
		return false
	}
}

// textRecalls reports whether the text of a Query or a Parse may.
func (l *Link) textRecalls(kind EntryKind, body []byte) bool {
	if !l.glanced.known && kind == EntryParse && l.unnamed.repeats(body) {
		return l.unnamed.does.recalls
	}
	return l.glanceAt(kind, body).Recalls
}

// nameRecalls reports whether what is behind a name may: the statement itself, or what SQL has prepared.
func (l *Link) nameRecalls(name []byte) bool {
	n := l.statements.find(name)
	if n == nil || n.statement.now == nil {
		what, prepared := l.sql.mine.Find(string(name))
		return prepared && what.Statement.Recalls()
	}
	st := n.statement.now
	return st.Recalls() || l.sql.recalls && st.NamesPrepared()
}

// forgets says what stands before a message because of a stranger's numbers, which there may be: nothing, the wait for what was sent
// before it, which may draw one, or what takes them away. Behind what may have drawn a number of the client's own that must not be done,
// and in a batch it cannot.
func (l *Link) forgets(kind EntryKind, body []byte) Verb {
	q := &l.sequences
	if q.drawn || l.unit.open {
		return More
	}
	recalls := l.glanced.recalls
	if !l.glanced.known {
		recalls = l.recall(kind, body)
	}
	if !recalls {
		return More
	}
	switch {
	case l.awaitsAnswers():
		return Full
	case l.Status() == StatusFailed:
		return More
	}
	q.foreign, q.mustGo = false, true
	return Insert
}

// forgetting returns what takes them away, and notes it as outstanding. As every Query it ends the unnamed statement.
func (l *Link) forgetting() []byte {
	l.sequences.mustGo = false
	l.unnamed.onServer = false
	l.fifo.push(Entry(EntryQuery) | Swallow | Injected)
	return discardSequences
}

// draws notes by its command that a statement may have drawn a number: all but those that only begin something.
func (q *sequences) draws(command []byte) {
	if q.drawn {
		return
	}
	switch string(command) {
	case "BEGIN", "START TRANSACTION", "SET", "SHOW", "SAVEPOINT":
	default:
		q.drawn = true
	}
}
