package proxy

import (
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// standing is what holds for a client, as others may see it. It never changes; a session that is renewed gets another.
type standing struct {
	place *place
	mode  Mode
}

// farewell is why a client ends with its unit of work, and what it is told.
type farewell struct {
	words *pgwire.Error
	why   event.CloseReason
}

// Renew lets every client go by what policies, users and doors say now, from its next unit of work on. One whose user, or whose door,
// is not there any more ends when its unit is over, or at once when it is in none. Any goroutine.
func (p *Proxy) Renew() {
	p.renewals.Add(1) // who logs in, or begins a unit, from now on looks for itself
	for _, m := range p.registry.all() {
		switch m := m.(type) {
		case *Session:
			m.post(m.renew)
		case *login:
			m.renew()
		case *replication:
			m.renew()
		}
	}
}

// renew ends the console of a user who is not there any more. Other logins look for themselves, while they wait and when they are in.
func (l *login) renew() {
	if l.console.Load() && !l.proxy.deps.Authenticator.Known(l.message.User) {
		l.Close(event.CloseReconfigured)
	}
}

// inVain returns why a login that waits for a server of the place need not go on: it would have to leave at once.
func (l *login) inVain(pl *place) *pgwire.Error {
	if l.renewals == l.proxy.renewals.Load() {
		return nil
	}
	_, gone := l.proxy.standUnder(l.door.aimed(l.attrs), pl.cluster, pl.route, l.message.User, l.message.Database)
	return gone
}

// renew lets the session go by what holds now. What it has begun goes on as it began.
func (s *Session) renew() {
	if s.state() == stateClosed {
		return
	}
	s.stale, s.renewals = false, s.proxy.renewals.Load()
	now := s.door.aimed(s.attrs)
	policy, gone := s.proxy.standUnder(now, s.place.cluster, s.place.route, s.facts.user, s.facts.database)
	switch {
	case gone != nil:
		s.dismissWith(farewell{gone, event.CloseReconfigured})
	case s.state() != stateIdle && !s.resting():
		s.stale = true
	case s.state() == stateIdle, s.keyUnder(policy) == s.queue.Key() && now.Rules == s.place.rules:
		s.settle(now, policy)
	default: // it keeps its server, and with it the place
		s.stale = true
		s.goBy(policy)
		s.watch()
	}
}

// outdated reports whether the session has to be renewed before its next unit of work.
func (s *Session) outdated() bool { return s.stale || s.renewals != s.proxy.renewals.Load() }

// standUnder returns what holds now for a client of that cluster and route, or why it may not stay. A door that leads elsewhere is another
// door.
func (p *Proxy) standUnder(now *ListenerConfig, c topology.ClusterID, route routing.Route, user, database string) (Policy, *pgwire.Error) {
	switch {
	case now == nil:
		return Policy{}, pgwire.ErrReconfigured.New("Its listener was removed.")
	case now.Cluster != c || now.Route != route:
		return Policy{}, pgwire.ErrReconfigured.New("Its listener leads elsewhere.")
	case !p.deps.Authenticator.Known(user):
		return Policy{}, pgwire.ErrReconfigured.New("Its user was removed.")
	}
	policy, refused := p.deps.Policies.Policy(*now, user, database)
	if refused != nil {
		return Policy{}, pgwire.ErrReconfigured.New("Its database was removed.")
	}
	return policy, nil
}

// keyUnder returns the key of the queue that a policy leads to.
func (s *Session) keyUnder(policy Policy) pool.Key {
	return policy.Key(s.queue.Key(), s.facts.user, s.facts.database)
}

// settle gives a session its policy and the place that goes with it, which is another one only when it has no server. The place's queue
// gets the policy's settings.
func (s *Session) settle(now *ListenerConfig, policy Policy) {
	former := s.place
	s.place = s.proxy.placeOf(s.keyUnder(policy), *now, policy)
	s.queue = s.place.queue
	s.goBy(policy)
	s.watch()
	former.leave()
}

// goBy puts a policy in force, and lets others see what holds for the session.
func (s *Session) goBy(policy Policy) {
	s.policy, s.limited = s.place.share(policy), policy.Limits.shortest() > 0
	s.shown.Store(&standing{place: s.place, mode: policy.Mode})
}
