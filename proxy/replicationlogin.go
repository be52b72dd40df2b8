package proxy

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
)

// nameReplication gives a client of physical replication, which is in no database, the name that pg_hba.conf has for that, whatever it
// has asked for.
func (l *login) nameReplication() {
	if l.message.Replication == pgwire.ReplicationPhysical {
		l.message.Database = pgwire.ReplicationDatabase
	}
}

// policyDatabase returns the database for which policies are asked.
func (l *login) policyDatabase() string {
	if l.message.Replication == pgwire.ReplicationPhysical {
		return ""
	}
	return l.message.Database
}

// replicate logs in a client of the replication protocol, and serves it to its end. The client is told that it is in when it has a
// server.
func (l *login) replicate(ctx context.Context, stop func() bool) *pgwire.Error {
	p := l.proxy
	policy, refused := p.deps.Policies.Policy(l.listener, l.message.User, l.policyDatabase())
	if refused == nil && (!policy.Replication || p.deps.Virtuals[l.message.Database] != nil) {
		refused = pgwire.ErrReplicationUnsupported.New("")
	}
	route, err := l.aside(policy)
	if err != nil {
		return asFault(err)
	}
	last, fault := l.prove(policy, refused)
	if fault != nil {
		return fault
	}
	l.sock.SetDeadline(time.Time{}) // the wait has a limit of its own
	server, fault := l.openAside(ctx, route, policy)
	if fault != nil {
		return fault
	}
	r := &replication{login: l, route: route, server: server, over: make(chan struct{})}
	r.app, _ = server.Param(applicationName)
	fault = l.closedTo() // meanwhile
	if fault == nil && !stop() {
		fault = ended(ctx)
	}
	if fault == nil {
		fault = r.begin(last)
	}
	if fault != nil {
		_ = server.Close() // best effort
		return fault
	}
	r.renew() // it was not there, perhaps, when others were
	r.serve(ctx)
	return nil
}

// aside returns where the client's own server connection is wanted. The server gets all start-up parameters as they are.
func (l *login) aside(policy Policy) (pool.Aside, error) {
	params, err := pgwire.SplitOptions(l.message.Options)
	if err != nil {
		return pool.Aside{}, err
	}
	var options []pgwire.Param
	for _, param := range append(params, l.message.Params...) {
		if !equalName(param.Name, sessionAttrs) { // it is in the route
			options = append(options, param)
		}
	}
	key := pool.Key{Cluster: l.listener.Cluster, Route: l.listener.Route, Options: EncodeOptions(options), Replication: l.message.Replication}
	key = policy.Key(key, l.message.User, l.message.Database)
	key.ReadOnly = false // a standby that stands in for the primary has another stream
	return pool.Aside{Key: key, Rules: l.listener.Rules, Parallel: policy.Pool.DialParallel}, nil
}

// openAside opens the client's own server connection. As any login it waits while no node is there, and is told what the server has
// against this user, database or setting.
func (l *login) openAside(ctx context.Context, route pool.Aside, policy Policy) (*backend.Conn, *pgwire.Error) {
	ctx, deaf := l.heed(ctx)
	defer deaf()
	p, began, pause := l.proxy, time.Now(), policy.Pool.DialBackoffMin
	for {
		if gone := l.standAside(route); gone != nil {
			return nil, gone
		}
		outlook := p.deps.Pool.Outlook(route)
		o, wait := obstacle{why: outlook.Hold}, greetStep
		if outlook.Hold == event.HoldNone {
			server, err := p.deps.Pool.OpenAside(ctx, route, outlook.Target)
			if err == nil {
				return server, nil
			}
			if isAnswer(err) {
				return nil, p.refusal(err)
			}
			o, wait = obstacle{event.HoldDialFailing, err}, pause
			pause = min(2*pause, policy.Pool.DialBackoffMax)
		}
		limit := policy.LoginHoldTimeout
		if !o.held() {
			limit = policy.WaitTimeout
		}
		left := limit - time.Since(began)
		if left <= 0 {
			detail := p.waitDetail(route.Key.Cluster, time.Since(began), o)
			return nil, o.fault(pgwire.ErrLoginHoldTimeout, detail, l.message.Database)
		}
		if fault := l.waitAside(ctx, min(left, wait), outlook); fault != nil {
			return nil, fault
		}
	}
}

// standAside says why the client may not stay, after a renewal; nil: it may.
func (l *login) standAside(route pool.Aside) *pgwire.Error {
	if l.renewals == l.proxy.renewals.Load() {
		return nil
	}
	policy, gone := l.proxy.standUnder(l.door.aimed(l.attrs), route.Key.Cluster, route.Key.Route, l.message.User, l.policyDatabase())
	if gone == nil && !policy.Replication {
		gone = pgwire.ErrReconfigured.New("Replication is refused now.")
	}
	return gone
}

// waitAside waits a while, or for another picture of the cluster when it is held.
func (l *login) waitAside(ctx context.Context, wait time.Duration, outlook pool.Outlook) *pgwire.Error {
	changed := outlook.Changed
	if outlook.Hold == event.HoldNone { // a node is there: it gets its pause
		changed = nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-changed:
		return nil
	case <-ctx.Done():
	}
	if errors.Is(context.Cause(ctx), errGone) {
		return pgwire.ErrStartupIncomplete.New("")
	}
	return ended(ctx)
}

// isAnswer reports whether a server has answered a login so that the client is to hear it: whatever it says, but that it starts or stops.
func isAnswer(err error) bool {
	f, ok := errors.AsType[backend.Failure](err)
	if !ok {
		return false
	}
	said := f.ServerError()
	return !f.Temporary() || said != nil && !strings.HasPrefix(said.Code, classOperatorIntervention)
}
