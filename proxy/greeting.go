package proxy

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/relay"
	"github.com/pgrouter/pgrouter/state"
)

// greetStep is how often a waiting login looks whether its reason to wait has changed.
const greetStep = 100 * time.Millisecond

// greetTries bounds how many servers may be lost while they are asked on behalf of one login.
const greetTries = 5

// greet finds out what a server of the place says to a client that wants these parameters: from memory, or by asking one. It
// holds while no node is there, up to the policy's login_hold_timeout.
func (l *login) greet(ctx context.Context, pl *place, wanted *state.Vector, policy Policy) (*greeting, *pgwire.Error) {
	p := l.proxy
	snap := p.snapshot(pl.cluster)
	known := pl.greetingFor(wanted)
	if known != nil && (policy.EagerLogin || snap != nil && p.open(pl) && known.epoch == snap.Epoch) {
		return known, nil
	}
	ctx, stop := l.heed(ctx)
	defer stop()
	g := &greeter{
		login: l, proxy: p, place: pl, wanted: wanted, policy: policy, loop: p.deps.Reactor.Pick(), done: make(chan greeted, 1),
	}
	g.timer.SetTarget(g)
	if !g.loop.Post(reactor.TaskFunc(g.begin)) {
		return nil, pgwire.ErrShuttingDown.New("")
	}
	got, fault := g.wait(ctx)
	if fault != nil {
		return nil, fault
	}
	if !got.standIn {
		pl.remember(wanted, got)
	}
	return got, nil
}

type greeted struct {
	greeting *greeting
	fault    *pgwire.Error
}

// greeter asks one server, on an event loop, on behalf of a login that has none yet.
type greeter struct {
	login  *login // of which nothing changes before done
	proxy  *Proxy
	place  *place
	wanted *state.Vector
	policy Policy
	timer  reactor.Timer // of the wait, and then for the server to answer
	began  int64         // loop time
	held   int64         // loop time since there is no node; 0: there is one
	full   *state.Vector // wanted, and the server's own defaults for the rest
	actual *state.Vector
	loop   *reactor.Loop
	waiter pool.Waiter
	server *pool.Server
	link   relay.Link
	down   tail
	said   map[string]string // other parameters of which the server has said something meanwhile
	over   bool
	losses int
	done   chan greeted // capacity 1: the loop never waits
}

// wait waits for the answer, which the loop gives in time, or for the end of the login.
func (g *greeter) wait(ctx context.Context) (*greeting, *pgwire.Error) {
	select {
	case r := <-g.done:
		return r.greeting, r.fault
	case <-ctx.Done():
	}
	fault := ended(ctx)
	if errors.Is(context.Cause(ctx), errGone) {
		fault = pgwire.ErrStartupIncomplete.New("")
	}
	g.loop.Post(reactor.TaskFunc(func(*reactor.Loop) { g.finish(greeted{fault: fault}, pool.Broken) }))
	r := <-g.done
	return r.greeting, r.fault
}

// begin is the first thing on the loop.
func (g *greeter) begin(l *reactor.Loop) {
	g.link.Observer = g
	g.began = l.Now()
	g.start()
}

func (g *greeter) start() {
	g.waiter = pool.Waiter{Grantee: g, Loop: g.loop, Vector: g.wanted, Client: g.login.id}
	server, err := g.place.queue.Acquire(&g.waiter)
	switch {
	case err != nil:
		g.Refused(err)
	case server != nil:
		g.Granted(server)
	default:
		g.lookAtWait()
	}
}

// lookAtWait looks at a login that waits. It may stay, unless a reload has removed what it waits for: for a node up to its own limit, in
// one stretch, and in all up to that of a full pool.
func (g *greeter) lookAtWait() {
	if gone := g.login.inVain(g.place); gone != nil {
		g.finish(greeted{fault: gone}, pool.Broken)
		return
	}
	now := g.loop.Now()
	o := obstacleOf(g.place.queue, &g.waiter)
	left := g.policy.WaitTimeout - time.Duration(now-g.began)
	if !o.held() {
		g.held = 0
	} else {
		if g.held == 0 {
			g.held = now
		}
		left = min(left, g.policy.LoginHoldTimeout-time.Duration(now-g.held))
	}
	if left > 0 {
		g.loop.Arm(&g.timer, min(left, greetStep))
		return
	}
	detail := g.proxy.waitDetail(g.place.cluster, time.Duration(now-g.began), o)
	g.finish(greeted{fault: o.fault(pgwire.ErrLoginHoldTimeout, detail, g.login.message.Database)}, pool.Broken)
}

// Refused: there will be no server (pool.Grantee).
func (g *greeter) Refused(err error) {
	g.finish(greeted{fault: g.proxy.refusal(err)}, pool.Broken)
}

// Granted: ask the server for the parameters that the client wants (pool.Grantee).
func (g *greeter) Granted(server *pool.Server) {
	if g.over {
		g.place.queue.Release(server, pool.Clean)
		return
	}
	g.server = server
	server.Holder = g
	server.IO.SetHandler(g)
	defaults := g.proxy.vectorOf(server.Conn.Params)
	if server.Vector == nil {
		server.Vector = defaults
	}
	g.full = g.proxy.vectors.Overlay(defaults, g.wanted)
	g.actual = server.Vector
	g.said = make(map[string]string)
	g.link.Attach(server.Conn.HotStandby, event.PinNone)
	// From the defaults to what is wanted: a value such as "SQL" is but a part of a DateStyle, and the rest must not be a stranger's.
	sql := g.full.AppendChange(defaults.AppendChange(nil, server.Vector), defaults)
	if len(sql) == 0 {
		g.succeed(pool.Clean)
		return
	}
	server.IO.Send(pgwire.AppendQuery(nil, string(sql)))
	g.link.Prelude()
	g.loop.Arm(&g.timer, g.policy.Pool.AnswerTimeout)
}

// Expired looks at a login that waits, or gives up a server that does not answer (reactor.Expirer).
func (g *greeter) Expired(*reactor.Loop, *reactor.Timer) {
	if g.server == nil {
		g.lookAtWait()
		return
	}
	g.lost(pool.Broken)
}

// Parameter notes the server's own spelling (relay.Observer).
func (g *greeter) Parameter(name, value []byte) {
	g.actual = g.proxy.vectors.With(g.actual, string(name), string(value))
	g.said[strings.ToLower(string(name))] = string(value)
}

// ReadOnly does not come: a greeting writes nothing (relay.Observer).
func (g *greeter) ReadOnly() bool { return false }

// Stray: the next to have this server need not hear it either (relay.Observer).
func (g *greeter) Stray() { g.server.Retire() }

// Received reads the answer to the prelude.
func (g *greeter) Received(_ *reactor.Conn, b []byte) {
	all, joined := g.down.join(b)
	for len(all) > 0 {
		v := g.link.FromServer(all)
		msg := all[v.N:min(v.N+v.Skip, len(all))]
		all = all[v.N+len(msg):]
		switch v.Verb {
		case relay.More:
			g.down.keep(all, joined)
			return
		case relay.Drop, relay.UnitEnd:
		case relay.PreludeDone:
			g.server.Served = true
			g.actual = g.proxy.vectors.WithSettingsOf(g.actual, g.full)
			g.place.accepted(g.full)
			how := pool.Clean
			if len(all) > 0 { // nobody has asked for that
				how = pool.Broken
			}
			g.succeed(how)
			return
		case relay.PreludeFailed, relay.Fatal:
			g.endedBy(msg)
			return
		default: // Violation
			g.proxy.violation(g.place, g.server)
			g.finish(greeted{fault: pgwire.ErrServerProtocol.New("")}, pool.Broken)
			return
		}
	}
	g.down.keep(all, joined)
}

// refusedBy tells the client what the server said of its parameters.
func (g *greeter) refusedBy(msg []byte) {
	e, err := pgwire.ParseError(msg[pgwire.HeaderLen:])
	if err != nil {
		e = pgwire.ErrServerProtocol.New("")
	}
	e.Severity, e.SeverityUnlocalized = pgwire.SeverityFatal, pgwire.SeverityFatal
	g.finish(greeted{fault: e}, pool.Broken)
}

// endedBy hears what a server says that ends its use. The words of one that goes down, or was interrupted, are not the client's affair.
func (g *greeter) endedBy(msg []byte) {
	if e, err := pgwire.ParseError(msg[pgwire.HeaderLen:]); err == nil && strings.HasPrefix(e.Code, classOperatorIntervention) {
		g.lost(afterFatal(msg))
		return
	}
	g.refusedBy(msg)
}

// classOperatorIntervention begins the SQLSTATEs of shutdowns, crashes and pg_terminate_backend.
const classOperatorIntervention = "57"

func (g *greeter) succeed(how pool.Outcome) {
	made := &greeting{vector: g.actual, standIn: g.server.Conn.Target.WantStandby}
	if snap := g.proxy.snapshot(g.place.cluster); snap != nil {
		made.epoch = snap.Epoch
	}
	for _, param := range g.server.Conn.Params {
		param.Value = g.reports(param)
		made.params = append(made.params, param)
	}
	g.finish(greeted{greeting: made}, how)
}

// reports returns what a server says of a parameter to a client with these settings.
func (g *greeter) reports(param pgwire.Param) string {
	if value := g.actual.Get(param.Name); value != "" {
		return value
	}
	name := strings.ToLower(param.Name)
	value, set := g.actual.Setting(name)
	switch said, heard := g.said[name]; {
	case heard:
		return said
	case set:
		return value
	}
	return param.Value
}

// finish gives back what the greeter holds and answers, once.
func (g *greeter) finish(r greeted, how pool.Outcome) {
	if g.over {
		return
	}
	g.over = true
	g.loop.Disarm(&g.timer)
	g.place.queue.GiveUp(&g.waiter)
	if server := g.server; server != nil {
		g.server = nil
		server.Vector, server.Holder = g.actual, nil
		g.place.queue.Release(server, how)
	}
	g.done <- r
}

// lost starts again, on another server: the client has seen nothing yet.
func (g *greeter) lost(how pool.Outcome) {
	g.loop.Disarm(&g.timer)
	g.proxy.deps.Trouble(g.place.cluster, g.server.Node())
	g.server.Useless()
	if g.losses++; g.losses >= greetTries {
		g.finish(greeted{fault: pgwire.ErrLoginHoldTimeout.New("Servers were lost while they were asked.")}, how)
		return
	}
	g.place.queue.Release(g.server, how)
	g.server = nil
	g.link.Detach()
	g.down.clear()
	g.start()
}

// Cut takes the server away (pool.Holder).
func (g *greeter) Cut(server *pool.Server, _ event.CutReason) {
	if g.server == server {
		g.lost(pool.Broken)
	}
}

// Ended: the server closed the connection.
func (g *greeter) Ended(*reactor.Conn) { g.lost(pool.Lost) }

// Failed: the connection to the server broke.
func (g *greeter) Failed(*reactor.Conn, error) { g.lost(pool.Lost) }

// Blocked cannot last: a prelude is short.
func (g *greeter) Blocked(*reactor.Conn) {}

// Drained needs nothing.
func (g *greeter) Drained(*reactor.Conn) {}

// withApplicationName returns the greeting of a client that calls itself name; "" = it has none. Every client may have a name of its
// own, so that no server is asked about it.
func (g *greeting) withApplicationName(t *state.Table, name string) *greeting {
	if name == "" {
		return g
	}
	named := &greeting{vector: t.With(g.vector, applicationName, name), epoch: g.epoch, standIn: g.standIn}
	for _, param := range g.params {
		if strings.EqualFold(param.Name, applicationName) {
			param.Value = name
		}
		named.params = append(named.params, param)
	}
	return named
}

const applicationName = "application_name"
