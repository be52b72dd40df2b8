package relay

import (
	"github.com/pgrouter/pgrouter/event"
)

const (
	// holdLimit is the size in bytes up to which an unfinished message is kept back until it is whole. Longer ones pass in
	// pieces. It keeps the cases of a message cut in the middle rare, and it bounds what a client may make us keep.
	holdLimit = 16 * 1024
	// inspectLimit is how much of a query string is read for its keywords.
	inspectLimit = holdLimit
)

// Transaction status as ReadyForQuery tells it.
const (
	StatusIdle   = 'I' // outside a transaction block
	StatusBlock  = 'T' // in a transaction block
	StatusFailed = 'E' // in a failed transaction block
)

// Observer hears what a server says about its session's parameters.
type Observer interface {
	// Parameter is called for every ParameterStatus. The slices are valid during the call only.
	Parameter(name, value []byte)
}

// stream is the framing of one direction: how much of the message under way is still to come, and whether it is dropped.
type stream struct {
	rest int
	drop bool
}

// Link is the protocol state between one client and the server that it is linked to, if any. Its zero value, given an
// Observer, is a client without a server. Ownership: the session that embeds it.
type Link struct {
	Observer Observer

	fifo fifo
	up   stream // client to server
	down stream // server to client

	status   byte // last ReadyForQuery; 0 before the first means StatusIdle
	linked   bool
	standby  bool // the server reported itself in hot standby
	skipping bool // the server reads over everything until Sync
	copyIn   bool // the server takes CopyData, and the client has not ended it
	pin      event.PinReason

	unit    unit
	unnamed unnamed
	enders  map[string]struct{} // names of prepared statements whose text may end a transaction
}

// unit is what is known of the unit of work under way.
type unit struct {
	statements uint32 // Query and Execute messages forwarded
	mayEnd     bool   // something outstanding, or answered since the last ReadyForQuery, may have ended a transaction
	unsafe     bool   // several statements in one string, CALL, DO, COPY, FunctionCall: never sent a second time
	answered   bool   // bytes of its answer have been forwarded
	copySync   bool   // a Sync was sent into a COPY: whether it will be answered cannot be known
	lateCopy   bool   // the unit is over but for the rest of a CopyData that nobody waits for
	portalEnds bool   // a named portal of a statement that may end a transaction exists
}

// Linked reports whether a server is linked.
func (l *Link) Linked() bool { return l.linked }

// Attach links a server: the FIFO is empty, the server is outside a transaction. standby tells that it reported itself in hot
// standby, so that it cannot have committed anything; pin is PinSession when the pool's mode keeps the server, else PinNone.
func (l *Link) Attach(standby bool, pin event.PinReason) {
	l.linked, l.standby, l.status, l.pin = true, standby, StatusIdle, pin
	l.restart()
}

// NextUnit ends a unit of work while the server stays linked.
func (l *Link) NextUnit() { l.unit = unit{} }

// Detach ends the link, at a unit's end or because the server is lost. What the client had sent and nobody answered is
// forgotten; the client's unnamed statement is kept. A pin ends with its server.
func (l *Link) Detach() {
	l.linked, l.pin = false, event.PinNone
	l.status = StatusIdle
	clear(l.enders)
	l.restart()
}

// restart forgets what belonged to the last unit. The client's own stream stays where it is: a message under way goes on.
func (l *Link) restart() {
	l.fifo.reset()
	l.down = stream{}
	l.skipping, l.copyIn = false, false
	l.unit = unit{}
	l.unnamed.forgetUnsettled()
}

// Status returns the last known transaction status.
func (l *Link) Status() byte {
	if l.status == 0 {
		return StatusIdle
	}
	return l.status
}

// Outstanding returns how many requests the server has not answered.
func (l *Link) Outstanding() int { return int(l.fifo.count) }

// Pinned returns why the session must keep its server, PinNone when it need not.
func (l *Link) Pinned() event.PinReason { return l.pin }

// AtBoundary reports whether a message of our own may be put between what the client has received (I8).
func (l *Link) AtBoundary() bool { return l.down.rest == 0 }

// MidMessage reports whether a message of the client's has been forwarded in part.
func (l *Link) MidMessage() bool { return l.up.rest > 0 }

func (l *Link) pinFor(why event.PinReason) {
	if l.pin == event.PinNone {
		l.pin = why
	}
}

// Prelude notes a simple Query of our own, whose whole answer is swallowed: the caller sends it before any byte of the
// client's.
func (l *Link) Prelude() { l.fifo.push(Entry(EntryQuery) | Swallow | Injected) }
