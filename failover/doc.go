// Package failover conducts: it carries each published snapshot to the pool, cuts what hangs on a primary that another has
// replaced, holds new units of work while the primary is about to move, runs planned switchovers (hold, drain, move, release), by Patroni
// or by commands, and writes one report for each change of primary.
//
// It owns the holds in force, the switchover under way and the last reports. It never decides who is primary (topology) and never
// touches a client (proxy); what becomes of sessions it learns through counters that are injected. It never moves the primary of a cluster
// that Patroni leads: it asks Patroni.
//
// Goroutines: one for each cluster, which Run starts and waits for; Switchover runs on its caller's, with one that gives Patroni the
// order, and two that hold on other routers, for which it waits.
//
// Locks: Conductor.mu, under which only counters are read; Conductor.door, held while pool and probes are told of holds.
package failover
