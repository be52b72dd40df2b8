package proxy

import (
	"context"
	"net"
	"time"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/reactor"
)

// register enters the client into the registry and goes on with the login.
func (l *login) register(ctx context.Context, stop func() bool) {
	p := l.proxy
	if !p.registry.put(l.id, l, p.config().MaxClients) {
		l.limit = refusedClients
		l.refuse(pgwire.ErrTooManyClients.New(""))
		return
	}
	if fault := l.proceed(ctx, stop); fault != nil {
		p.registry.remove(l.id)
		l.refuse(fault)
	}
}

// proceed is the way of a login: what it asks for, who it is, what a server says, and the hand-over.
func (l *login) proceed(ctx context.Context, stop func() bool) *pgwire.Error {
	p := l.proxy
	if l.message.NeedsNegotiate() {
		if _, err := l.sock.Write(pgwire.AppendNegotiate(nil, l.message.SpokenMinor(), l.message.Unknown)); err != nil {
			return pgwire.ErrStartupIncomplete.New("")
		}
	}
	if l.message.Replication != pgwire.ReplicationNone {
		return l.replicate(ctx, stop)
	}
	if v := p.deps.Virtuals[l.message.Database]; v != nil {
		return l.serveVirtual(ctx, v)
	}
	policy, refused := p.deps.Policies.Policy(l.listener, l.message.User, l.message.Database)
	asked, err := l.identity(policy, false)
	if err != nil {
		return asFault(err)
	}
	last, fault := l.prove(policy, refused)
	if fault != nil {
		return fault
	}
	l.sock.SetDeadline(time.Time{}) // the holds have limits of their own
	pl, g, fault := l.meet(ctx, asked, policy)
	if fault == nil {
		fault = l.closedTo() // meanwhile
	}
	if fault == nil && !stop() {
		fault = ended(ctx)
	}
	if fault == nil {
		pl.stayFor(policy)
		fault = l.welcome(pl, policy, g.withApplicationName(p.vectors, asked.name), last)
	}
	if fault != nil {
		pl.leave() // otherwise the session does
	}
	return fault
}

// prove lets the client prove who it is, and returns what is still to be sent in front of AuthenticationOk. What there is, and how much
// of it is in use, is told only to who has done so.
func (l *login) prove(policy Policy, refused *pgwire.Error) (last []byte, fault *pgwire.Error) {
	last, fault = l.authenticate()
	if fault == nil {
		fault = refused
	}
	if fault == nil {
		fault = l.closedTo()
	}
	if fault == nil {
		fault = l.claim(policy)
	}
	return last, fault
}

// claim counts the client as one of its database and of its user.
func (l *login) claim(policy Policy) *pgwire.Error {
	fault := l.proxy.registry.claim(l.id, claim{user: l.message.User, database: l.message.Database}, policy.MaxDatabase, policy.MaxUser)
	if fault != nil {
		l.limit = refusedQuota
	}
	return fault
}

// meet finds the place of what the client asks for, and what a server says there. When the server says that something cannot be
// changed any more, all that can wait for no server is made part of the queue's key, and the next one hears it at its start.
func (l *login) meet(ctx context.Context, asked identity, policy Policy) (*place, *greeting, *pgwire.Error) {
	pl := l.proxy.placeOf(asked.key, l.listener, policy)
	if !pl.isTooLate(asked.wanted) {
		g, fault := l.greet(ctx, pl, asked.wanted, policy)
		if fault == nil || fault.Code != pgwire.CodeCannotChangeNow {
			return pl, g, fault
		}
		pl.tooLate(asked.wanted)
	}
	asked, err := l.identity(policy, true)
	if err != nil {
		return pl, nil, asFault(err)
	}
	pl.leave()
	pl = l.proxy.placeOf(asked.key, l.listener, policy)
	g, fault := l.greet(ctx, pl, asked.wanted, policy)
	return pl, g, fault
}

// welcome sends the end of the login, and hands the client to an event loop.
func (l *login) welcome(pl *place, policy Policy, g *greeting, last []byte) *pgwire.Error {
	p := l.proxy
	s := &Session{
		proxy: p, door: l.door, attrs: l.attrs, renewals: l.renewals, place: pl, queue: pl.queue, vector: g.vector, base: g.vector,
		loop: p.deps.Reactor.Pick(), keptAll: true, readOnly: g.standIn,
	}
	s.goBy(policy)
	s.facts = facts{
		id: l.id, user: l.message.User, database: l.message.Database, remote: l.sock.RemoteAddr().String(),
		local: l.sock.LocalAddr().String(), app: g.vector.Get(applicationName), connected: l.began,
	}
	s.link.Observer, s.link.Library = s, s
	s.home.Store(s.loop)
	s.waiter = pool.Waiter{Grantee: s, Loop: s.loop, Client: l.id}
	s.timer.SetTarget(s)
	if err := p.cancels.issue(s, pgwire.CancelKeyLen(l.message.SpokenMinor())); err != nil {
		return pgwire.ErrInternal.New("")
	}
	msg := pgwire.AppendAuthOk(last)
	for _, param := range g.params {
		msg = pgwire.AppendParameterStatus(msg, param.Name, param.Value)
	}
	msg = s.facts.key.append(msg)
	msg = pgwire.AppendReadyForQuery(msg, pgwire.StatusIdle)
	l.sock.Unread(l.ahead)
	if !s.loop.Post(&arrival{session: s, sock: l.sock, greeting: msg}) {
		p.cancels.remove(s.facts.key)
		return pgwire.ErrShuttingDown.New("")
	}
	return nil
}

// arrival brings a client to its loop. AuthenticationOk is sent only there: without a descriptor to spare the hand-over
// fails, and the client must not have been told that it is in.
type arrival struct {
	session  *Session
	sock     *reactor.Socket
	greeting []byte
}

// Run begins the session's life on the loop (reactor.Task).
func (a *arrival) Run(loop *reactor.Loop) {
	s := a.session
	p := s.proxy
	s.traffic = p.trafficOn(loop, s.facts.database)
	s.traffic.ClientLogins++
	s.client = loop.Attach(a.sock, (*clientEnd)(s))
	s.say(a.greeting)
	s.spoke()
	p.registry.put(s.facts.id, s, p.config().MaxClients)
	p.metrics.loggedIn.Add(1)
	switch {
	case p.draining.Load():
		s.drain()
	case s.outdated():
		s.renew()
	}
}

// serveVirtual logs a client in to a database of the router's own, and serves it there. Whether the user may come in is said
// only to who has proven to be that user: otherwise strangers could find out names.
func (l *login) serveVirtual(ctx context.Context, v Virtual) *pgwire.Error {
	last, fault := l.authenticate()
	if fault != nil {
		return fault
	}
	if fault := v.Admit(l.message.User); fault != nil {
		return fault
	}
	if err := l.proxy.cancels.issue(l, pgwire.CancelKeyLen(l.message.SpokenMinor())); err != nil {
		return pgwire.ErrInternal.New("")
	}
	defer l.proxy.cancels.remove(l.key)
	msg := pgwire.AppendAuthOk(last)
	for _, param := range v.Parameters() {
		msg = pgwire.AppendParameterStatus(msg, param.Name, param.Value)
	}
	msg = l.key.append(msg)
	msg = pgwire.AppendReadyForQuery(msg, pgwire.StatusIdle)
	if _, err := l.sock.Write(msg); err != nil {
		return pgwire.ErrStartupIncomplete.New("")
	}
	l.console.Store(true)
	l.proxy.registry.console(l.id)
	l.sock.SetDeadline(time.Time{})
	l.proxy.logins.Add(-1) // a console is not a login any more
	defer l.proxy.logins.Add(1)
	var conn net.Conn = l.sock
	if len(l.ahead) > 0 {
		conn = &aheadConn{Conn: l.sock, ahead: l.ahead}
	}
	err := v.Serve(ctx, conn, Login{
		User: l.message.User, Database: l.message.Database, Remote: l.sock.RemoteAddr(), Cancelled: l.cancelled,
	})
	if err != nil {
		l.proxy.log.Debug("console ended", "user", l.message.User, "error", err)
	}
	l.sock.Close()
	l.proxy.registry.remove(l.id)
	return nil
}

// aheadConn gives back bytes that were read too far.
type aheadConn struct {
	net.Conn
	ahead []byte
}

// Read reads what was read too far first.
func (c *aheadConn) Read(b []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}
