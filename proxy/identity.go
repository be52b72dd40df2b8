package proxy

import (
	"strings"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/state"
)

// identity is what a client has asked for in its start-up packet.
type identity struct {
	key    pool.Key      // of its queue, with what servers must be given at their start
	wanted *state.Vector // what any server of the queue can be SET to
	name   string        // the application's
}

// identity sorts what the client asked for. Nearly all of it can be SET on any server, and the first one checks it; early puts
// everything but the tracked parameters into the queue's key, for servers to be given at their start. So does a client with more than
// can be moved. A RESET goes back to what the server was given at its own login: who has a server for the whole session gives it all
// but the application's name there, which would make too many queues.
func (l *login) identity(policy Policy, early bool) (identity, error) {
	params, err := pgwire.SplitOptions(l.message.Options)
	if err != nil {
		return identity{}, err
	}
	asked := identity{wanted: l.proxy.vectors.Empty()}
	var options []pgwire.Param
	for _, param := range append(params, l.message.Params...) {
		switch name := strings.ToLower(param.Name); {
		case name == applicationName:
			asked.name = param.Value
		case name == sessionAttrs: // it is in the route
		case policy.Mode != ModeSession && state.Tracked(name):
			asked.want(l.proxy, name, param.Value)
		case policy.Mode == ModeSession, early, state.FromStartOnly(name):
			options = append(options, added(options, param))
		default:
			asked.wanted = l.proxy.vectors.WithSetting(asked.wanted, state.Setting{Name: name, Value: param.Value})
		}
	}
	if !asked.wanted.Movable() {
		return l.identity(policy, true)
	}
	key := pool.Key{Cluster: l.listener.Cluster, Route: l.listener.Route, Options: EncodeOptions(options)}
	asked.key = policy.Key(key, l.message.User, l.message.Database)
	return asked, nil
}

// want notes a tracked parameter. Of one given twice the last counts, but of a DateStyle either may be half of one.
func (a *identity) want(p *Proxy, name, value string) {
	if before := a.wanted.Get(name); before != "" && name == dateStyle {
		value = state.MergeDateStyle(before, value)
	}
	a.wanted = p.vectors.With(a.wanted, name, value)
}

const dateStyle = "datestyle"

// added is the same for what servers are given at their start.
func added(options []pgwire.Param, param pgwire.Param) pgwire.Param {
	for _, before := range options {
		if equalName(param.Name, dateStyle) && equalName(before.Name, dateStyle) {
			param.Value = state.MergeDateStyle(before.Value, param.Value)
		}
	}
	return param
}
