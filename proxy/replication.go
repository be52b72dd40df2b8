package proxy

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/reactor"
)

// replicationChunk is how much is read at once of a replication client, or its server, in bytes. No more than that is ever held.
const replicationChunk = 64 * 1024

// replication is a client of the replication protocol. From its login to its end it has a server of its own, aside from the pool, and
// what either says is passed on as it is; it is followed only to know where a message ends and whether a command runs. It lives on
// goroutines: one for each direction, one that watches whether the server's node is still one of the route.
type replication struct {
	login  *login
	route  pool.Aside
	server *backend.Conn
	key    cancelKey
	app    string

	up   framing // of what the server has been sent; the goroutine upstream
	down framing // of what the client has been sent; the goroutine downstream

	commands  atomic.Int32 // sent and not answered by ReadyForQuery
	streams   atomic.Bool  // the command under way has become a stream, in which both sides speak
	departing atomic.Bool  // the client has said that it leaves, or sends no more
	draining  atomic.Bool

	over chan struct{} // closed at the first reason to end
	mu   struct {
		sync.Mutex
		ended bool
		why   event.CloseReason
		words *pgwire.Error // what the client is told; nil: nothing, or the server has told it
	}
}

// begin makes the session a member in the login's place, and tells the client what its server has said at login.
func (r *replication) begin(last []byte) *pgwire.Error {
	p, l := r.login.proxy, r.login
	if err := p.cancels.issue(r, pgwire.CancelKeyLen(l.message.SpokenMinor())); err != nil {
		return pgwire.ErrInternal.New("")
	}
	p.registry.put(l.id, r, p.config().MaxClients)
	msg := pgwire.AppendAuthOk(last)
	for _, param := range r.server.Params {
		msg = pgwire.AppendParameterStatus(msg, param.Name, param.Value)
	}
	msg = pgwire.AppendReadyForQuery(r.key.append(msg), pgwire.StatusIdle)
	if _, err := l.sock.Write(msg); err != nil {
		p.cancels.remove(r.key)
		return pgwire.ErrStartupIncomplete.New("")
	}
	p.metrics.loggedIn.Add(1)
	p.log.Info("replication begun", "client", l.id, "user", l.message.User, "database", l.message.Database,
		"remote", l.sock.RemoteAddr().String(), "node", string(r.server.Target.Node), "application_name", r.app)
	return nil
}

// serve passes bytes on until one side has ended, or somebody ends both.
func (r *replication) serve(ctx context.Context) {
	p, l := r.login.proxy, r.login
	p.logins.Add(-1) // it is not a login any more
	defer p.logins.Add(1)
	if p.draining.Load() {
		r.Drain()
	}
	var others sync.WaitGroup
	others.Go(r.upstream)
	others.Go(func() { r.watch(ctx) })
	r.downstream()
	others.Wait()
	r.farewell()
	p.cancels.remove(r.key)
	p.registry.remove(l.id)
	p.metrics.sessionClosed(r.mu.why)
	p.log.Info("replication ended", "client", l.id, "user", l.message.User, "database", l.message.Database,
		"remote", l.sock.RemoteAddr().String(), "node", string(r.server.Target.Node), "reason", r.mu.why.String())
}

// upstream passes on what the client says. When it says no more, the server hears that, and may go on.
func (r *replication) upstream() {
	client, server := r.login.sock, r.server.Socket
	buf, n := r.login.ahead, len(r.login.ahead)
	var ended error
	for {
		if n > 0 {
			r.up.pass(buf[:n], r.asked)
			if _, err := server.Write(buf[:n]); err != nil {
				r.up.astray = true
				return // what it has said last is read downstream, and then its end
			}
		}
		switch {
		case errors.Is(ended, io.EOF):
			r.departing.Store(true)
			_ = server.CloseWrite() // a server that is gone ends downstream
			return
		case ended != nil:
			r.end(event.CloseClientReset, nil)
			return
		}
		if len(buf) < replicationChunk {
			buf = make([]byte, replicationChunk)
		}
		n, ended = client.Read(buf)
	}
}

// asked notes what the client has said. It is noted before the server hears it.
func (r *replication) asked(kind byte) {
	switch kind {
	case pgwire.KindQuery, pgwire.KindSync, pgwire.KindFunctionCall:
		r.commands.Add(1)
	case pgwire.KindTerminate:
		r.departing.Store(true)
	}
}

// downstream passes on what the server says, to its end. A client that does not read makes the server wait.
func (r *replication) downstream() {
	buf := make([]byte, replicationChunk)
	for {
		n, ended := r.server.Socket.Read(buf)
		sent, err := r.login.sock.Write(buf[:n])
		r.down.pass(buf[:sent], r.answered)
		if err != nil {
			r.end(event.CloseClientReset, nil)
			return
		}
		if ended != nil {
			r.serverEnded()
			return
		}
		if r.draining.Load() && r.resting() {
			r.end(event.CloseShutdown, pgwire.ErrAdminShutdown.New(""))
		}
	}
}

// answered notes what the client has been told.
func (r *replication) answered(kind byte) {
	switch kind {
	case pgwire.KindCopyBothResponse:
		r.streams.Store(true)
	case pgwire.KindReadyForQuery:
		r.streams.Store(false)
		r.commands.Add(-1)
	}
}

// resting reports whether nothing is lost with the session: no command runs, or a stream, which begins anew where it was left.
func (r *replication) resting() bool { return r.commands.Load() <= 0 || r.streams.Load() }

// serverEnded: the server will say no more. Who has not asked for that, and was not told by it why, is told here.
func (r *replication) serverEnded() {
	if r.departing.Load() {
		r.end(event.CloseByClient, nil)
		return
	}
	words := pgwire.ErrReplicationLost.New("")
	if r.down.last == pgwire.KindErrorResponse {
		words = nil
	}
	r.end(event.CloseServerError, words)
	r.login.proxy.deps.Trouble(r.server.Target.Cluster, r.server.Target.Node)
}

// watch ends the session when its node is not one of the route any more, or when the router ends.
func (r *replication) watch(ctx context.Context) {
	for {
		fits, changed := r.login.proxy.deps.Pool.Fits(r.server.Target, r.route.Key.Route)
		if !fits {
			r.end(event.CloseCut, pgwire.ErrReplicationLost.New(""))
			return
		}
		select {
		case <-changed:
		case <-r.over:
			return
		case <-ctx.Done():
			r.end(event.CloseShutdown, ended(ctx))
			return
		}
	}
}

// end gives the first reason to end, and lets whoever reads or writes return. Any goroutine.
func (r *replication) end(why event.CloseReason, words *pgwire.Error) {
	r.mu.Lock()
	first := !r.mu.ended
	if first {
		r.mu.ended, r.mu.why, r.mu.words = true, why, words
	}
	r.mu.Unlock()
	if !first {
		return
	}
	close(r.over)
	client, server := r.login.sock, r.server.Socket
	_ = server.SetDeadline(reactor.LongAgo()) // an error says that the connection is closed: as good
	_ = client.SetReadDeadline(reactor.LongAgo())
	_ = client.SetWriteDeadline(time.Now().Add(refuseLimit)) // what is being sent may arrive, and the last words
}

// farewell tells the client why it ends, where a message of its server's has not been cut off (I8), and closes both connections.
// Nobody else uses them any more.
func (r *replication) farewell() {
	client := r.login.sock
	if words := r.mu.words; words != nil && r.down.whole() {
		r.login.proxy.metrics.errorSent(words.Code)
		_, _ = client.Write(pgwire.AppendError(nil, words)) // a client that is gone need not be told
	}
	client.Close()
	if r.up.whole() {
		_ = r.server.Close() // best effort
	} else {
		_ = r.server.Socket.Close() // Terminate could be read as the end of the message that was cut off
	}
}

// cancelKey returns where the key is kept (keyed).
func (r *replication) cancelKey() *cancelKey { return &r.key }

// Info describes the session (Member).
func (r *replication) Info() ClientInfo {
	info := r.login.Info()
	info.Kind, info.State, info.ApplicationName = "replication", "active", r.app
	return info
}

// Close ends the session (Member).
func (r *replication) Close(why event.CloseReason) { r.end(why, closeError(why)) }

// Drain ends a session that streams or does nothing, and lets another command, such as a base backup, come to its end (Member).
func (r *replication) Drain() {
	r.draining.Store(true)
	if r.resting() {
		r.end(event.CloseShutdown, pgwire.ErrAdminShutdown.New(""))
	}
}

// renew ends a session that would not be let in any more. Any goroutine.
func (r *replication) renew() {
	if gone := r.login.standAside(r.route); gone != nil {
		r.end(event.CloseReconfigured, gone)
	}
}
