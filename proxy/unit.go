package proxy

import (
	"strings"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/state"
)

// acquire asks for a server for the unit that begins. It returns true when the session has one and bytes may flow.
func (s *Session) acquire() bool {
	if s.outdated() {
		s.renew()
		if s.state() == stateClosed {
			return false
		}
	}
	s.waiter.Vector, s.waiter.Last = s.vector, 0
	if s.link.Recalls() || s.link.HasPreparations() {
		s.waiter.Last = s.lastServer
	}
	server, err := s.queue.Acquire(&s.waiter)
	switch {
	case err != nil:
		s.refused(err)
		return false
	case server == nil:
		s.startWaiting()
		return false
	}
	return s.linkTo(server)
}

// Granted takes the server that the place in the queue has become (pool.Grantee).
func (s *Session) Granted(server *pool.Server) {
	if s.state() == stateClosed { // it left while the server was on its way between two loops
		s.queue.Release(server, pool.Clean)
		return
	}
	s.proxy.metrics.waited(s.waited())
	s.traffic.WaitTime += uint64(max(s.loop.Now()-s.inLine.Load(), 0))
	if s.linkTo(server) {
		s.resumeClient()
		s.refeed()
	}
}

// Refused takes the news that there will be no server (pool.Grantee).
func (s *Session) Refused(err error) {
	s.stopTimer()
	s.settleHeld()
	s.refused(err)
}

// refused tells the client that no server can be had. It is told what the server said, when a server said it.
func (s *Session) refused(err error) {
	if s.state() == stateClosed {
		return
	}
	s.move(stateIdle)
	s.fatal(s.proxy.refusal(err), event.CloseServerError)
}

// linkTo takes over a server, and gives it the client's parameters if it has others. It returns true when the client's bytes
// may follow at once.
func (s *Session) linkTo(server *pool.Server) bool {
	s.server = server
	s.traffic.ServerAssignments++
	server.Holder = s
	server.IO.SetHandler((*serverEnd)(s))
	server.IO.SetLate(true) // clients' queries first: answers can wait the microseconds until the servers have work
	server.Vector = s.proxy.vectorLeft(server)
	s.actual = server.Vector
	s.link.Prepared = &server.Prepared
	server.Prepared.Limit = s.policy.MaxPrepared
	s.link.RefusePins = s.policy.RefusePins
	s.link.Attach(server.Conn.HotStandby, s.modePin())
	if server.Former != 0 && (server.Former != s.waiter.Client || server.ID() != s.lastServer) {
		s.link.Foreign()
	}
	s.keptAll = true
	s.spoke()
	if s.readOnly != server.Conn.Target.WantStandby {
		s.tellStandIn()
	}
	if server.IO.Blocked() { // it has yet to take the rest of a COPY that failed
		s.serverFull = true
		s.pauseClient()
	}
	s.move(stateLinked)
	ready := server.Vector == s.vector || s.prepare()
	if s.link.LacksPreparations() {
		server.IO.Send(s.link.Replays(s.vector))
	}
	s.throttle()
	return ready
}

func (s *Session) modePin() event.PinReason {
	if s.policy.Mode == ModeSession {
		return event.PinSession
	}
	return event.PinNone
}

// prepare sends the prelude: the statements that give the server the client's settings, and take away those of others. It is
// pipelined with the client's bytes only when nothing but tracked parameters differs and this queue's servers have accepted exactly
// this vector before, because a SET that fails does not stop the statement behind it: nothing of the client's runs under another's
// role or search_path.
func (s *Session) prepare() bool {
	sql := s.vector.AppendChange(nil, s.server.Vector)
	if len(sql) == 0 {
		return true
	}
	s.proxy.metrics.preludes.Add(1)
	s.server.IO.Send(pgwire.AppendQuery(nil, string(sql)))
	s.link.Prelude()
	if s.vector.SameSettings(s.server.Vector) && s.place.accepts(s.vector) {
		s.actual = s.vector
		return true
	}
	s.proxy.metrics.awaited[kindOfPrelude(s.vector, s.server.Vector)].Add(1)
	s.move(statePreparing)
	s.loop.ArmBy(&s.timer, s.policy.Pool.AnswerTimeout)
	return false
}

// kindOfPrelude says what a prelude that is waited for changes.
func kindOfPrelude(to, from *state.Vector) int {
	switch {
	case !to.SameIdentity(from):
		return awaitedRole
	case !to.SameSettings(from):
		return awaitedSettings
	}
	return awaitedParameters
}

// preludeDone: the server has the client's settings now, the tracked ones in its own spelling.
func (s *Session) preludeDone() bool {
	if s.state() != statePreparing {
		return true
	}
	s.server.Served = true
	s.place.accepted(s.vector)
	s.actual = s.proxy.vectors.WithSettingsOf(s.actual, s.vector)
	s.vector = s.actual
	s.place.accepted(s.vector)
	s.move(stateLinked)
	s.throttle()
	s.resumeClient()
	s.refeed()
	return s.server != nil
}

// preludeFailed: the server refuses the client's settings. It dies, the client gets its error; nothing of its unit was sent,
// unless this very vector had been accepted before. A server that was only interrupted, be it by the limit of time of somebody who
// had it before, has refused nothing: the unit goes to another.
func (s *Session) preludeFailed(msg []byte) {
	s.place.rejected(s.vector)
	e, err := pgwire.ParseError(msg[pgwire.HeaderLen:])
	if s.unitSent || err == nil && strings.HasPrefix(e.Code, classOperatorIntervention) {
		s.serverLost(event.CutProtocol)
		return
	}
	if err != nil {
		e = pgwire.ErrServerProtocol.New("")
	}
	e.Severity, e.SeverityUnlocalized = pgwire.SeverityFatal, pgwire.SeverityFatal
	s.unlink(pool.Broken)
	s.move(stateIdle)
	s.fatal(e, event.CloseServerError)
}

// isReset reports whether a server that is given back so is reset before anybody else gets it.
func (s *Session) isReset(how pool.Outcome) bool {
	return how == pool.Dirty || how == pool.Clean && s.policy.Pool.ResetAlways
}

// keepsSettings reports whether the server has settings, a role perhaps, that its reset would leave there: nobody would know of them.
func (s *Session) keepsSettings() bool {
	query := strings.TrimRight(strings.TrimSpace(s.policy.Pool.ResetQuery), ";")
	return len(s.actual.Settings()) > 0 && !strings.EqualFold(query, "DISCARD ALL")
}

// unlink gives the server back to the pool.
func (s *Session) unlink(how pool.Outcome) {
	server := s.server
	s.account()
	if !how.Gone() && (s.dismissed || s.down.len() > 0) { // it ends by itself, or has begun a message that nobody asked for
		how = pool.Broken
	}
	if s.isReset(how) && s.keepsSettings() {
		how = pool.Broken
	}
	server.Vector, server.Former, s.lastServer = s.actual, s.waiter.Client, server.ID()
	server.Holder = nil
	s.server = nil
	s.serverFull, s.upFull, s.copyEnded, s.dismissed = false, false, false, false
	s.leaving = event.CutNone
	s.down.clear()
	s.pin.Store(uint32(event.PinNone))
	s.link.Detach()
	if s.clientFull && !how.Gone() {
		server.IO.ResumeRead()
	}
	s.queue.Release(server, how)
}
