package relay

// Outcome is what a client must be told, or what may be done silently, when its server is lost. It is the code of the
// contract's rows in docs/errors.md.
type Outcome uint8

// The outcomes.
const (
	// Unaffected: nothing was going on; the next unit of work gets another server.
	Unaffected Outcome = iota
	// Requeue: no byte of the unit was accepted by the server's socket; it is queued again.
	Requeue
	// Replay: at most one autocommit statement that reads, on a standby, of which the client has seen nothing; it is sent once
	// more elsewhere.
	Replay
	// TransactionLost: certainly not committed. FATAL 57P01, then the connection closes.
	TransactionLost
	// OutcomeUnknown: it may have been committed. FATAL 08007, then the connection closes.
	OutcomeUnknown
	// PinnedLost: the session kept something on the server that cannot be moved. FATAL 57P01 with the pin's reason.
	PinnedLost
	// CloseSilently: the client is in the middle of a message, so that nothing can be told (I8).
	CloseSilently
)

// String returns the outcome's name as metrics print it.
func (o Outcome) String() string {
	switch o {
	case Unaffected:
		return "unaffected"
	case Requeue:
		return "requeued"
	case Replay:
		return "replayed"
	case TransactionLost:
		return "transaction_lost"
	case OutcomeUnknown:
		return "outcome_unknown"
	case PinnedLost:
		return "pinned_lost"
	case CloseSilently:
	}
	return "closed_silently"
}

// Loss is what is known of a lost server beyond the link's own state.
type Loss struct {
	Accepted bool // the server's socket accepted bytes of the unit
	Kept     bool // the bytes of the unit are still at hand, all of them
	Replayed bool // the unit is a replay already
	NoReplay bool // the operator forbids it
	Promoted bool // its node is known to have become a primary since it was linked
}

// Lost decides what happens to the client of a server that is gone. It changes nothing.
//
// The laws: a connection lost after bytes were accepted is never proof that nothing ran; a server in hot standby cannot have
// committed anything, but it says only with its next ReadyForQuery that it was promoted, so that its word counts for no more
// than reads; inside a transaction block only a statement that may end the block can have committed it.
func (l *Link) Lost(loss Loss) Outcome {
	idle := l.idle()
	passing := l.passing != nil // a query string that is not known to its end may do anything
	standby := l.standby && !loss.Promoted && !l.unit.writes && !passing
	pinned := !l.Movable()
	switch {
	case !l.linked:
		return Unaffected
	case !l.AtBoundary():
		return CloseSilently
	case l.Settling(): // what the client has asked for is done, but what it has left on the server is not known
		return PinnedLost
	case idle && l.Status() == StatusIdle && !pinned:
		return Unaffected
	case idle && l.Status() == StatusIdle:
		return PinnedLost
	case idle:
		return TransactionLost
	case l.firstOfUnit() && !loss.Accepted && loss.Kept && !pinned:
		return Requeue
	case standby && l.replayable(loss) && !pinned:
		return Replay
	case standby:
		return TransactionLost
	case l.Status() != StatusIdle && !l.unit.mayEnd && !passing:
		return TransactionLost
	case l.unit.statements == 0: // something was prepared or bound, nothing was run
		return TransactionLost
	}
	return OutcomeUnknown
}

// idle reports whether the server owes nothing and keeps nothing of a batch: what was done before a Sync is not committed, and
// after an error what the client still sends must be read over. The rest of a CopyData that came too late counts for nothing.
func (l *Link) idle() bool {
	sending := l.up.rest > 0 && !l.up.drop && !l.unit.lateCopy
	return l.fifo.count == 0 && !l.unit.open && !sending
}

// firstOfUnit reports whether the unit began outside a transaction block and nothing of it has been answered.
func (l *Link) firstOfUnit() bool {
	return l.Status() == StatusIdle && !l.unit.answered && l.up.rest == 0
}

func (l *Link) replayable(loss Loss) bool {
	return !loss.NoReplay && !loss.Replayed && loss.Kept && l.firstOfUnit() && l.unit.statements <= 1
}
