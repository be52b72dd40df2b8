package relay

import (
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/state"
)

// holdLimit is the size in bytes up to which an unfinished message is kept back until it is whole. Longer ones pass in
// pieces. It keeps the cases of a message cut in the middle rare, and it bounds what a client may make us keep.
const holdLimit = 16 * 1024

// Transaction status as ReadyForQuery tells it.
const (
	StatusIdle   = 'I' // outside a transaction block
	StatusBlock  = 'T' // in a transaction block
	StatusFailed = 'E' // in a failed transaction block
)

// Observer hears what a server says of itself, beside the answers.
type Observer interface {
	// Parameter is called for every ParameterStatus. The slices are valid during the call only.
	Parameter(name, value []byte)
	// ReadOnly is called when the server refuses to write (SQLSTATE 25006). It answers whether its node is known to have been
	// demoted.
	ReadOnly() (demoted bool)
	// Stray is called for a notification that is not passed on, because the client has not said LISTEN: the server listens for
	// somebody who had it before, by a function that hid the word.
	Stray()
}

// stream is the framing of one direction: how much of the message under way is still to come, and whether it is dropped.
type stream struct {
	rest int
	drop bool
}

// Link is the protocol state between one client and the server that it is linked to, if any. Its zero value, given an
// Observer, is a client without a server. What each unit of work touches stands first, on few cache lines. Ownership: the session that
// embeds it.
type Link struct {
	fifo fifo

	status   byte // last ReadyForQuery; 0 before the first means StatusIdle
	linked   bool
	standby  bool // the server reported itself in hot standby
	promoted bool // … when it was linked, and has said since that it is not any more
	skipping bool // the server reads over everything until Sync
	copyIn   bool // the server takes CopyData, and the client has not ended it
	keeps    bool // the pool's mode keeps the server between units of work
	inserts  bool // Insertion is for a named statement
	healing  bool // an answer is read over up to its ReadyForQuery, then the unit is sent again

	RefusePins bool // what would pin is refused, unless the pool's mode keeps the server; set before Attach

	settling  settling
	sequences sequences
	pins      event.Pins
	up        stream // client to server
	down      stream // server to client
	Tally     Tally  // counts on; its reader empties it
	unit      unit
	glanced   glanced

	Prepared   *Prepared     // of the linked server, set before Attach; nil: it is a new one
	statements *statements   // named ones; nil before the first
	passing    *state.Stream // judges the query string that passes in pieces; nil when none does
	sql        preparations
	unnamed    unnamed

	Observer Observer
	Library  Library // of the client; nil: its statements are its own
	ahead    int     // of the bytes that FromServer reads, how many are shown before the message that it looks at
}

// Tally counts what a client has asked for, and what was answered.
type Tally struct {
	Queries      uint32 // answered with ReadyForQuery: a Query, a FunctionCall, a batch of the extended protocol up to its Sync
	Transactions uint32 // … that left the server outside of a transaction block
	ClientParses uint32 // Parse messages of the client's
	ServerParses uint32 // … that went to a server, and those of the router's own, to a server that did not have the statement
	Injected     uint32 // of these the router's own, of named statements
	Evictions    uint32 // statements that were closed on a server because it had too many
	Heals        uint32 // units that were sent again because the server's statement was of no use any more
	Binds        uint32
	Replays      uint32 // statements of SQL's PREPARE that were prepared on a server which did not have them
}

// Empty reports whether nothing was counted.
func (t *Tally) Empty() bool {
	return t.Queries|t.Transactions|t.ClientParses|t.ServerParses|t.Injected|t.Evictions|t.Heals|t.Binds|t.Replays == 0
}

// unit is what is known of the unit of work under way.
type unit struct {
	statements uint32 // Query, Execute and FunctionCall messages forwarded; a Query of several statements counts as two
	open       bool   // an extended batch was begun, and its Sync has not been sent
	bound      bool   // the batch has bound the unnamed portal
	executes   bool   // the batch has executed something
	mayEnd     bool   // something outstanding, or answered since the last ReadyForQuery, may have ended a transaction
	writes     bool   // in the same way something may have changed the database, see Link.mayWrite
	answered   bool   // bytes of its answer have been forwarded
	copySync   bool   // a Sync was sent into a COPY: whether it will be answered cannot be known
	syncsRead  uint32 // Syncs sent before the COPY began that are held to be read over by it
	lateCopy   bool   // the unit is over but for the rest of a CopyData that nobody waits for
	uses       *named // the named statement that it uses
	usesMany   bool   // … and others
	describes  bool   // a portal or a statement is described in it
	altered    bool   // it has changed tables, and is not committed
	sets       bool   // it has changed settings, be it for its transaction alone
	portalEnds bool   // a portal of a statement that may end a transaction was bound; it may outlive its batch

	replays  bool       // what SQL has prepared was sent in front of it
	prepares bool       // SQL has prepared something in it
	drops    bool       // … or dropped it, or may have
	untold   bool       // a Query of several statements, or a long one, names what SQL prepares; if it fails no tag tells what its last has done
	later    event.Pins // for what that pins when it is executed

	pins    event.Pins     // what its texts pin for
	frees   bool           // something was done, or asked for, after which the server may hold less; see mayBeFree
	failed  bool           // something of it has failed
	ended   bool           // a transaction block of it has ended
	touched *state.Touched // the settings that it may have changed; nil: none
	tag     string         // of the client's statement, while what stands behind it in a Query that Restores is not done
}

// Linked reports whether a server is linked.
func (l *Link) Linked() bool { return l.linked }

// Attach links a server to a client that has none; Detach has left everything else as a unit of work finds it. The server is outside
// a transaction. standby tells that it reported itself in hot standby; pin is PinSession when the pool's mode keeps the server, else
// PinNone.
func (l *Link) Attach(standby bool, pin event.PinReason) {
	l.linked, l.standby, l.promoted = true, standby, false
	l.keeps = pin == event.PinSession
	l.meetPreparations()
}

// NextUnit ends a unit of work while the server stays linked.
func (l *Link) NextUnit() {
	l.unit, l.settling = unit{}, settling{}
	l.sequences.nextUnit()
	if l.statements != nil {
		l.statements.unseen, l.statements.dropped = nil, nil
	}
}

// Detach ends the link, at a unit's end or because the server is lost. What the client had sent and nobody answered is
// forgotten; the client's statements are kept, and its own stream stays where it is: a message under way goes on. A pin ends with its
// server.
func (l *Link) Detach() {
	l.linked, l.keeps, l.pins = false, false, 0
	l.status = StatusIdle
	l.fifo.reset()
	l.down, l.passing = stream{}, nil
	l.skipping, l.copyIn = false, false
	l.unnamed.forgetUnsettled()
	l.forgetChanges()
	l.unit, l.settling, l.healing = unit{}, settling{}, false
	l.sequences = sequences{}
	l.Prepared = nil
	l.sql.forgetServer()
}

// Promoted reports whether the linked server was in hot standby when it was linked, and has said since that it is not any more.
func (l *Link) Promoted() bool { return l.promoted }

// Status returns the last known transaction status.
func (l *Link) Status() byte {
	if l.status == 0 {
		return StatusIdle
	}
	return l.status
}

// Outstanding returns how many requests the server has not answered to the end.
func (l *Link) Outstanding() int {
	if l.down.rest > 0 {
		return int(l.fifo.count) + 1
	}
	return int(l.fifo.count)
}

// Owed returns how many requests the server has not answered to the end, whatever has come of the answer.
func (l *Link) Owed() uint32 { return l.fifo.count }

// Pinned returns why the session keeps its server, PinNone when it does not. Of several reasons the first is told that cannot be moved.
func (l *Link) Pinned() event.PinReason {
	if l.keeps && l.pins == 0 {
		return event.PinSession
	}
	return l.pins.First()
}

// Movable reports whether another server can take the place of this one between two units of work: the session holds nothing on it,
// be it that the pool's mode keeps it.
func (l *Link) Movable() bool { return l.pins == 0 }

// AtBoundary reports whether a message of our own may be put between what the client has received (I8).
func (l *Link) AtBoundary() bool { return l.down.rest == 0 || l.down.drop }

// MidMessage reports whether the server has been given a message of the client's in part, or a batch without its Sync: it
// waits for the rest, holds what the batch has done so far uncommitted, or reads over everything up to the Sync, so that nobody
// else can use it.
func (l *Link) MidMessage() bool { return l.up.rest > 0 && !l.up.drop || l.unit.open }

// doubt pins the session because it cannot be known what the server will still answer.
func (l *Link) doubt() {
	l.unit.copySync = true
	l.Doubt()
}

// Doubt pins the session because it cannot be known what its server holds or will answer. It is the last word on why: such a
// server must not be reset and given to somebody else.
func (l *Link) Doubt() { l.pinFor(event.PinUncertain) }

// Prelude notes a simple Query of our own, whose whole answer is swallowed: the caller sends it before any byte of the
// client's.
func (l *Link) Prelude() { l.fifo.push(Entry(EntryQuery) | Swallow | Injected) }
