package proxy

import (
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/relay"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/state"
)

// sessionState is where a logged-in client stands.
type sessionState uint32

const (
	stateIdle      sessionState = iota // no server, nothing asked; → waiting, preparing, linked, closed
	stateWaiting                       // has a place in a queue; → preparing, linked, idle (cancelled), closed
	statePreparing                     // has a server that does not have its parameters yet; → linked, waiting (requeued), closed
	stateLinked                        // bytes flow; → settling, idle, waiting (requeued, replayed), closed
	stateSettling                      // its server is asked what the unit has left on it; → linked (and on at once), idle, closed
	stateClosed                        // gone
)

// String returns the state as SHOW CLIENTS prints it; PgBouncer's words where it has them.
func (s sessionState) String() string {
	switch s {
	case stateWaiting:
		return "waiting"
	case statePreparing, stateLinked, stateSettling:
		return "active"
	case stateClosed:
		return "closed"
	case stateIdle:
	}
	return "idle"
}

// keptLimit is the size in bytes of the longest unit of work that can be sent a second time.
const keptLimit = 16 * 1024

// Session is one client that has logged in. What each unit of work touches stands first, on as few cache lines as it takes:
// with many clients their first touch is most of what our own part of a unit costs.
type Session struct {
	word        atomic.Uint32   // the state, for others to read as well
	pin         atomic.Uint32   // a copy of the pin reason
	keptAll     bool            // kept is the whole unit
	unitSent    bool            // a byte of the client's has gone to a server in this unit
	replayed    bool            // the unit is a replay
	healed      bool            // the unit was sent again to the same server
	limited     bool            // it has time limits
	leaving     event.CutReason // why the server is to go when the unit is over; CutNone: it is not
	readOnly    bool            // the client was last told that it is on a standby in the place of the primary
	stale       bool            // it is to be renewed once it has no unit, or no server
	departed    bool            // the client has shut down its writing side; when all that came before is used, it is ending
	ending      bool            // the client said good-bye, has departed or has broken the protocol: finish and close
	copyEnded   bool            // the server was told that a COPY, if there is one, is over
	dismissed   bool            // the server was told that nothing more comes at all; nobody else gets it
	clientFull  bool            // the client's socket takes no more
	serverFull  bool            // the server's socket takes no more
	upPaused    bool            // the client is not read, because it sent too much ahead
	upFull      bool            // what is kept of the client's waits for answers to what was sent before
	noticed     bool            // NoticeWaiting was sent
	refusalTold bool            // the log has that a statement was refused
	reasonsTold event.Pins      // the log has that it was pinned for them
	prepared    atomic.Uint32   // a copy of how many named statements the client has
	proxy       *Proxy
	loop        *reactor.Loop // its own; changes only in migration.Run
	client      *reactor.Conn

	server     *pool.Server // nil unless preparing or linked
	queue      *pool.Queue
	policy     *Policy       // shared with others, and never changed
	traffic    *Traffic      // of its database on its loop
	vector     *state.Vector // the settings that the client has
	actual     *state.Vector // those that its server has
	lastServer uint64        // the ID of the server that it had last; 0: none
	renewals   uint64        // that there had been when it was renewed last

	clock    stopwatch
	unitMark uint64
	units    atomic.Uint64 // that have ended; for others to read as well
	up       tail          // from the client, not used yet

	link relay.Link

	waiter pool.Waiter
	inLine atomic.Int64 // loop time at which it last got a place in the queue; for others to read as well

	waitSince int64  // loop time at which the unit began to wait; 0 when it has not
	since     int64  // loop time of the last word that counts, see spoke
	held      int64  // bytes of up counted in the proxy's limit
	down      tail   // from the server, not used yet
	kept      []byte // what the client sent of the unit under way, for a second try
	timer     reactor.Timer
	farewell  *farewell // it ends with its unit; nil: it stays
	sinceLook uint8     // units since the session last looked for a better loop

	postlude postlude
	base     *state.Vector                // the settings that the client began with: RESET goes back there
	home     atomic.Pointer[reactor.Loop] // loop, for others
	shown    atomic.Pointer[standing]     // place and mode, for others
	door     *Door                        // through which it came
	attrs    routing.SessionAttrs         // which nodes it wants
	place    *place                       // what it shares with the other clients of its queue
	fault    *pgwire.Error                // how the client has broken the protocol; it is told so when it has been answered
	facts    facts
}

// facts is what does not change in the life of a session.
type facts struct {
	id        uint64
	user      string
	database  string
	remote    string
	local     string
	app       string
	connected time.Time
	key       cancelKey
}

// The two ends of a session, as the event loop sees them: one Session, two handlers, nothing allocated.
type (
	clientEnd Session
	serverEnd Session
)

// state returns where the session stands.
func (s *Session) state() sessionState { return sessionState(s.word.Load()) }

// move is the only function that changes the state.
func (s *Session) move(to sessionState) { s.word.Store(uint32(to)) }

// say sends one message of our own to the client, at a boundary (I8). It may allocate: it is never part of the ordinary way.
func (s *Session) say(msg []byte) {
	s.traffic.BytesSent += uint64(len(msg))
	s.client.Send(msg)
}

// fatal tells the client why it ends, if it stands at a message boundary, and ends it.
func (s *Session) fatal(e *pgwire.Error, why event.CloseReason) {
	if s.state() == stateClosed {
		return
	}
	if s.link.AtBoundary() && !e.Silent() {
		s.say(pgwire.AppendError(nil, e))
		s.proxy.metrics.errorSent(e.Code)
	}
	s.close(why)
}

// close ends the session: what it holds is given back, what the client is still owed is flushed (I10).
func (s *Session) close(why event.CloseReason) {
	if s.state() == stateClosed {
		return
	}
	s.stopWaiting()
	s.giveUpServer()
	s.move(stateClosed)
	s.client.CloseAfterFlush(closeFlushLimit)
	s.proxy.forget(s, why)
}

// closeFlushLimit bounds how long a closing client may take to read its last bytes.
const closeFlushLimit = 5 * time.Second

// giveUpServer returns the server of a session that ends. A server that may still be at work, or holds a transaction, is
// closed: PostgreSQL rolls back.
func (s *Session) giveUpServer() {
	if s.server == nil {
		return
	}
	done := s.state() == stateLinked && s.link.Outstanding() == 0 && s.link.Status() == relay.StatusIdle &&
		!s.link.MidMessage()
	if !done {
		s.unlink(pool.Broken)
		return
	}
	s.unlink(s.leftServer())
}

// leftServer says in what condition the session leaves its server between two units of work.
func (s *Session) leftServer() pool.Outcome {
	switch s.link.Pinned() {
	case event.PinNone:
		return pool.Clean
	case event.PinUncertain:
		return pool.Broken
	default:
		return pool.Dirty
	}
}

// Parameter notes what the server says of its session (relay.Observer). While our own prelude is under way the client's
// wishes stand; afterwards, whatever changes, its own statements changed.
func (s *Session) Parameter(name, value []byte) {
	s.actual = s.proxy.vectors.With(s.actual, string(name), string(value))
	if st := s.state(); st == stateLinked || st == stateSettling {
		s.vector = s.actual
	}
}
