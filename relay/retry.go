package relay

import (
	"slices"

	"github.com/pgrouter/pgrouter/state"
)

// What could not be prepared on a server is tried again in front of each unit of work, as on every server that is linked anew: a client
// that keeps its server may have made the table meanwhile. Nothing is outstanding then, and no transaction is open that an error could
// end.

// retries reports whether what is missing is to be prepared before a message. It is not where the client's settings are not known, or
// whether a name is taken, or where the server alone has the unnamed statement, which a replay ends.
func (l *Link) retries() bool {
	first := !l.unit.replays && !l.unit.open && !l.awaitsAnswers() && l.Status() == StatusIdle
	if !first || l.sql.unknown || l.inTheDark() {
		return false
	}
	l.unit.replays, l.sql.retries = true, true
	return true
}

// retrying returns what prepares what is missing, and notes it as outstanding.
func (l *Link) retrying(now *state.Vector) []byte {
	lacks := l.sql.missing
	l.sql.retries, l.sql.missing = false, nil
	l.unnamed.onServer = false
	var b []byte
	p := l.prepared()
	has := slices.Clone(p.sql.All())
	for _, m := range lacks {
		if what, ok := l.sql.mine.Find(m.name); ok {
			b = l.replay(b, what, now)
			has = append(has, what)
		}
	}
	p.sql = state.NewPreparations(has)
	if same(l.sql.mine, has) {
		p.sql = l.sql.mine
	}
	return b
}
