package main

import (
	"context"

	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/pool"
)

// startStanding opens connections before the first client comes.
func (r *router) startStanding(context.Context) error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	r.standLocked()
	return nil
}

// standLocked makes the router itself a user of each queue that it can fill alone, so that min_size holds there without a client: as whom
// to log in for a database with a user of its own is known beforehand. It takes the place of what it used until now.
func (r *router) standLocked() {
	former := r.reloading.standing
	r.reloading.standing = nil
	databases := r.inForce.Load().Databases
	for i := range databases {
		if d := &databases[i]; d.User != "" && d.Name != config.AnyDatabase {
			r.standForLocked(d.Name)
		}
	}
	for _, q := range former {
		q.Leave()
	}
}

// standForLocked begins the use of a database's queue behind each door, as its clients will find it.
func (r *router) standForLocked(database string) {
	for _, d := range *r.doors.Load() {
		policy, refused := (&policies{&r.inForce}).Policy(d.config, "", database)
		if refused != nil || policy.Pool.MinSize == 0 {
			continue
		}
		key := policy.Key(pool.Key{Cluster: d.config.Cluster, Route: d.config.Route}, "", database)
		r.reloading.standing = append(r.reloading.standing, r.pool.Queue(key, d.config.Rules, policy.Pool))
	}
}
