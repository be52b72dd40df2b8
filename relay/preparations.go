package relay

import (
	"bytes"
	"slices"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// What SQL's PREPARE makes is replayed, as settings are: a server that is linked gets the PREPARE of each statement that it lacks, and
// loses what others have left under a name. What there is PostgreSQL itself says at the end of each unit of work that has changed it. A
// client without such statements leaves a stranger's where they are until it sends something that could find them.

// PreparationsLimit is the size in bytes of all the texts that a session keeps.
const PreparationsLimit = 64 * 1024

// preparations is what SQL has prepared, as a client has it.
type preparations struct {
	mine    *state.Preparations
	stuck   map[string]string // names, and the texts, of what only the linked server can have
	missing []missing
	unknown bool                     // there is more of stuck, of which nothing is known
	recalls bool                     // some may ask for a number of a sequence
	foreign bool                     // the client has none and the server has a stranger's
	clears  bool                     // what takes those away stands before the client's next message
	retries bool                     // what prepares those that are missing stands there
	replays queue[state.Preparation] // not answered yet
}

// missing is a statement that could not be prepared on the linked server.
type missing struct {
	name string
	why  *pgwire.Error
}

// PreparedRow is a statement as pg_prepared_statements shows it: its name, and the query string that it was prepared in.
type PreparedRow struct{ Name, SQL []byte }

// forgetServer is for a link that ends: what belongs to its server is gone.
func (p *preparations) forgetServer() {
	p.replays.clear()
	p.stuck, p.unknown, p.foreign, p.clears, p.retries, p.missing = nil, false, false, false, false, nil
}

// any reports whether SQL has prepared anything, as far as is known.
func (p *preparations) any() bool { return p.mine != nil || len(p.stuck) > 0 || p.unknown }

// meetPreparations looks at what a server has that is linked now.
func (l *Link) meetPreparations() {
	l.sql.foreign = l.sql.mine == nil && l.Prepared != nil && l.Prepared.sql != nil
}

// LacksPreparations reports whether the linked server has something else than what SQL has prepared for the client.
func (l *Link) LacksPreparations() bool {
	return l.sql.mine != nil && l.sql.mine != l.prepared().sql
}

// HasPreparations reports whether SQL has prepared something for the client: it should get the server of its last unit of work.
func (l *Link) HasPreparations() bool { return l.sql.mine != nil }

// Replays returns what makes that the linked server has what SQL has prepared for the client, under its settings of now, and notes it as
// outstanding: the caller sends it before any byte of the client's. Each PREPARE is a batch of its own, so that one that fails takes
// nothing with it, and goes by Parse, which takes one statement and no more.
func (l *Link) Replays(now *state.Vector) []byte {
	p := l.prepared()
	var b []byte
	for _, has := range p.sql.All() {
		if _, wanted := l.sql.mine.Find(has.Name); !wanted {
			b = l.closes(b, has.Name)
		}
	}
	for _, want := range l.sql.mine.All() {
		if !p.sql.Has(want) {
			b = l.replay(b, want, now)
		}
	}
	p.sql = l.sql.mine
	l.unit.replays = true
	return b
}

const ours = Swallow | Injected | Quiet

// closes appends the Close of a name, which cannot fail.
func (l *Link) closes(b []byte, name string) []byte {
	l.fifo.push(Entry(EntryClose) | ours)
	return pgwire.AppendClose(b, pgwire.TargetStatement, name)
}

func (l *Link) replay(b []byte, what state.Preparation, now *state.Vector) []byte {
	for _, sql := range what.Under.LocalChanges(now) {
		b = l.runs(b, sql)
	}
	b = l.closes(b, what.Name) // a function may have left something there
	*l.fifo.at(l.fifo.count - 1) |= Replayed
	b = l.runs(b, what.Statement.SQL())
	l.fifo.push(Entry(EntrySync) | ours | Replayed)
	l.sql.replays.push(what)
	l.Tally.Replays++
	return pgwire.AppendSync(b)
}

// runs appends what runs a statement in a batch, as part of a replay.
func (l *Link) runs(b []byte, sql string) []byte {
	for _, kind := range [...]EntryKind{EntryParse, EntryBind, EntryExecute} {
		l.fifo.push(Entry(kind) | ours | Replayed)
	}
	b = pgwire.AppendParse(b, "", sql, nil)
	b = pgwire.AppendBind(b, "", "", nil)
	return pgwire.AppendExecute(b, "", 0)
}

// replayFailed takes the error of a replay. The statement is missing on this server, and nowhere else.
func (l *Link) replayFailed(msg []byte, whole bool) Verb {
	what := l.sql.replays.front()
	why := pgwire.ErrServerProtocol.New("")
	if e, err := pgwire.ParseError(msg[pgwire.HeaderLen:]); whole && err == nil {
		why = e
	}
	l.sql.missing = append(l.sql.missing, missing{what.Name, why})
	l.prepared().sql = l.prepared().sql.Without(what.Name)
	l.skipToSync()
	return Drop
}

// whyMissing returns why a statement is missing that an error of the server's names, nil when there is none.
func (l *Link) whyMissing(code, msg []byte) *pgwire.Error {
	if string(code) != pgwire.CodeInvalidStatementName {
		return nil
	}
	message := errorField(msg, 'M')
	for _, m := range l.sql.missing {
		if bytes.Contains(message, []byte(`"`+m.name+`"`)) {
			return m.why
		}
	}
	return nil
}

// awaitsAnswers reports whether the client may wait for an answer; what is the router's own and stands alone, a prelude, does not count.
func (l *Link) awaitsAnswers() bool {
	return l.fifo.count > 1 || l.fifo.count == 1 && l.fifo.first()&Injected == 0
}

// heedPrepared takes the tag of a statement that was done: what SQL has prepared may be another than before.
func (l *Link) heedPrepared(tag []byte) {
	if len(tag) == 0 || tag[0] != 'P' && !l.unit.prepares && !l.sql.any() {
		return
	}
	command, _, _ := cutString(tag)
	switch string(command) {
	case "PREPARE":
		l.unit.prepares = true
	case "DEALLOCATE":
		l.unit.drops = true
	case "DO", "CALL":
	default:
		return
	}
	l.AskLater(AskPrepared)
}

// noPreparations is for a server that says that it has dropped all statements.
func (l *Link) noPreparations() {
	l.sql.mine, l.sql.stuck, l.sql.unknown, l.sql.recalls, l.sql.foreign, l.sql.missing = nil, nil, false, false, false, nil
	l.glanced.known = false // what recall said of it was of before
}

// HavePrepared takes the answer to AskPrepared: what SQL has prepared, under the settings of now; known is false when that is too much to
// be told. others is that there are statements of the protocol under names of the client's own. Where a stranger's are still there the
// client has prepared nothing, and what is shown is not its own.
func (l *Link) HavePrepared(rows []PreparedRow, known, others bool, now *state.Vector) {
	switch {
	case l.sql.foreign:
	case known:
		l.adopt(rows, now)
		l.sql.unknown = false // what there is stands among what is stuck
	default:
		l.sql.unknown = true
	}
	l.pins &^= event.PinsOf(event.PinPreparedStatement)
	if others || len(l.sql.stuck) > 0 || l.sql.unknown || l.statements.keepsOwn() {
		l.pinFor(event.PinPreparedStatement)
	}
}

// adopt takes what SQL has prepared as the client's.
func (l *Link) adopt(rows []PreparedRow, now *state.Vector) {
	var mine, has []state.Preparation
	stuck := make(map[string]string)
	size := 0
	for _, row := range rows {
		what, movable := l.adoptRow(row, now)
		size += len(row.SQL)
		if movable && len(mine) < l.prepared().limit() && size <= PreparationsLimit {
			mine = append(mine, what)
		} else {
			stuck[what.Name] = string(row.SQL)
			what.Statement = nil // like no other
		}
		has = append(has, what)
	}
	l.sql.stillMissing(has)
	for _, m := range l.sql.missing {
		what, _ := l.sql.mine.Find(m.name)
		mine = append(mine, what)
	}
	l.sql.stuck = stuck
	if kept := l.sql.mine; !same(kept, mine) {
		l.sql.mine = state.NewPreparations(mine)
	}
	l.sql.recalls = false
	for _, what := range mine {
		l.sql.recalls = l.sql.recalls || what.Statement.Recalls()
	}
	l.prepared().sql = state.NewPreparations(has)
	if len(has) == len(mine) && len(stuck) == 0 && len(l.sql.missing) == 0 {
		l.prepared().sql = l.sql.mine
	}
}

// stillMissing forgets what is not missing any more: the server has something of that name now.
func (p *preparations) stillMissing(has []state.Preparation) {
	p.missing = slices.DeleteFunc(p.missing, func(m missing) bool {
		_, ok := p.mine.Find(m.name)
		return !ok || slices.ContainsFunc(has, func(h state.Preparation) bool { return h.Name == m.name })
	})
	if len(p.missing) == 0 {
		p.missing = nil
	}
}

// same reports whether a list is what the client has already.
func same(p *state.Preparations, list []state.Preparation) bool {
	if len(p.All()) != len(list) {
		return false
	}
	for _, what := range list {
		if !p.Has(what) {
			return false
		}
	}
	return true
}

// adoptRow returns what a row shows. movable is false when only this server can have it: the router's own names, what cannot be told from
// the text around it, and what was prepared under settings that only its transaction had.
func (l *Link) adoptRow(row PreparedRow, now *state.Vector) (what state.Preparation, movable bool) {
	name := string(row.Name)
	text, ok := state.PreparationOf(row.SQL, name)
	what = state.Preparation{Name: name, Under: now}
	old, had := l.sql.mine.Find(name)
	had = had && old.Statement.SQL() == string(text)
	anew := l.unit.prepares && l.unit.drops // it may have been prepared in this unit
	switch stuck, is := l.sql.stuck[name]; {
	case had && !anew:
		return old, true
	case had && old.Under != now, is && stuck == string(row.SQL) && !anew:
		return what, false
	}
	if !ok || bytes.HasPrefix(row.Name, statementPrefix) || l.sql.unknown || l.unit.sets || l.pins.Has(event.PinSetting) || l.pins.Has(event.PinRole) {
		return what, false
	}
	what.Statement = l.texts().Statement(append(append([]byte(nil), text...), emptyParse...))
	return what, true
}

// tries puts a Parse together under the client's own name, and what takes that away again, where SQL may have taken the name:
// PostgreSQL refuses it then, with whatever else it has to say of it.
func (l *Link) tries(name, parse []byte) bool {
	s := l.statements
	_, taken := l.sql.mine.Find(string(name))
	_, kept := l.sql.stuck[string(name)]
	if !taken && !kept && !l.unit.prepares && !l.sql.unknown || s.cleared {
		s.cleared = false
		return false
	}
	s.cleared = true
	s.scratch = append(pgwire.AppendRenamed(s.scratch[:0], pgwire.KindParse, nil, string(name), len(parse)), parse...)
	s.scratch = pgwire.AppendClose(s.scratch, pgwire.TargetStatement, string(name))
	l.fifo.push(Entry(EntryParse) | Swallow | Injected)
	l.fifo.push(Entry(EntryClose) | Swallow | Injected)
	return true
}

// namesOwn reports whether what a Parse means depends on what SQL has prepared for this client.
func (l *Link) namesOwn(parse []byte) bool {
	return (l.sql.mine != nil || l.unit.prepares) && state.Executes(textOf(parse))
}
