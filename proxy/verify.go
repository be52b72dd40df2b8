package proxy

import (
	"fmt"
	"os"

	"github.com/pgrouter/pgrouter/relay"
)

// verifyVariable turns on, when it is 1, the check of the session's invariants after each callback. It is for tests.
const verifyVariable = "PGROUTER_VERIFY"

func verifying() bool { return os.Getenv(verifyVariable) == "1" }

// verify panics when a session and its server do not belong to each other (I3), when something of a closed session lives (I10),
// or when the session does not count what it keeps. The event loop recovers, closes this one connection and says so.
func (s *Session) verify() {
	if !s.proxy.verifies {
		return
	}
	st := s.state()
	linked := st == stateLinked || st == statePreparing || st == stateSettling
	switch {
	case linked != (s.server != nil):
		panic(fmt.Sprintf("proxy: I3: state %s with server %v", st, s.server != nil))
	case linked && s.server.Holder != s:
		panic("proxy: I3: the server has another holder")
	case linked != s.link.Linked():
		panic(fmt.Sprintf("proxy: I3: state %s, link %v", st, s.link.Linked()))
	case !linked && s.down.len() > 0:
		panic("proxy: I10: bytes of a server that is gone")
	case st == stateClosed && s.timer.Armed():
		panic("proxy: I10: a closed session has a timer")
	case st == stateClosed && s.held != 0:
		panic("proxy: I10: a closed session counts bytes as held")
	case s.waits() && s.held != int64(s.up.len()), !s.waits() && s.held != 0:
		panic(fmt.Sprintf("proxy: in state %s %d bytes count as held, %d are kept", st, s.held, s.up.len()))
	case st == stateIdle && s.link.Status() != relay.StatusIdle:
		panic("proxy: a client in a transaction has no server")
	}
}
