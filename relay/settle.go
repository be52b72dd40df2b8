package relay

import "github.com/pgrouter/pgrouter/pgwire"

// A unit of work that may have left something on its server is settled before it ends: behind the ReadyForQuery that would end it
// the router asks the server a question of its own, the postlude, and the client's ReadyForQuery waits for the answer.

// Question is a set of what is to be asked of a server before a unit of work ends.
type Question uint8

// The questions.
const (
	AskSettings Question = 1 << iota // the values of the settings that the unit has touched, see Link.Touched
	AskPins                          // which of the pins hold of which the server can tell, see Link.Held
	AskPrepared                      // what SQL has prepared, see Link.HavePrepared
)

// settleRowLimit is the size in bytes of the longest row that a postlude is answered with. A longer one is no answer.
const settleRowLimit = 256 * 1024

// settling is how far the settling of a unit has come.
type settling struct {
	questions Question
	due       bool // the client has not been told that its unit is over
	underWay  bool // the postlude was sent
	failed    bool // it was answered with an error
	cancelled bool // … because somebody has interrupted it
	again     bool // it is asked for the second time
}

// AskLater puts a question to the server when the unit of work ends.
func (l *Link) AskLater(q Question) { l.settling.questions |= q }

// Questions returns what is to be asked now that Settle was said.
func (l *Link) Questions() Question { return l.settling.questions }

// Postlude notes a simple Query of the router's own, which the caller sends after Settle. Its rows come with the verb Row, its end
// with Settled or SettleFailed, or with Settle where it is to be asked once more: then its rows count for nothing.
func (l *Link) Postlude() {
	l.settling.due, l.settling.underWay = false, true
	l.unnamed.onServer = false // as every Query it ends the unnamed statement
	l.fifo.push(Entry(EntryQuery) | Swallow | Injected)
}

// PostludeDue reports whether the server is to be asked, and has not been yet.
func (l *Link) PostludeDue() bool { return l.settling.due }

// Settling reports whether a postlude is due or under way: all that the client has asked for is done and answered, but for its last
// ReadyForQuery.
func (l *Link) Settling() bool { return l.settling.due || l.settling.underWay }

// settleRow takes a row of the postlude's answer.
func (l *Link) settleRow(f pgwire.Frame, have int) Verb {
	if have < f.Len {
		l.settling.failed = true
		return Drop
	}
	return Row
}

// settleError takes the error that a postlude is answered with; the end of it is to come.
func (l *Link) settleError(code []byte) Verb {
	l.settling.failed = true
	l.settling.cancelled = string(code) == pgwire.CodeQueryCanceled
	l.fifo.answered()
	return Drop
}

// settled takes the end of the postlude. One that was cancelled is asked once more: what has interrupted it was for the client's
// statement, and has come too late.
func (l *Link) settled() Verb {
	was := l.settling
	l.settling = settling{}
	switch {
	case !was.failed:
		return Settled
	case was.cancelled && !was.again:
		l.settling = settling{questions: was.questions, due: true, again: true}
		return Settle
	}
	return SettleFailed
}
