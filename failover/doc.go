// Package failover conducts: it carries each published snapshot to the pool, cuts what hangs on a primary that another has
// replaced, runs planned switchovers (hold, drain, demote, promote, release), and writes one report for each change of
// primary.
//
// It owns the switchover under way and the last reports. It never decides who is primary (topology) and never touches a
// client (proxy); what becomes of sessions it learns through counters that are injected.
//
// Goroutines: one for each cluster, which Run starts and waits for; Switchover runs on its caller's.
//
// Locks: Conductor.mu, a leaf: nothing is called while it is held.
package failover
