// Package demo shows a failover to somebody who has ten minutes: a temporary cluster of a primary and two standbys, or one
// that Patroni and etcd run, a router in front of it, a VoIP-like load with a ledger, a screen to watch it, keys to break
// it, and at the end a report with a proof, counted on a direct connection.
//
// It owns the cluster, the load and the terminal's mode, and takes all of them back when [Run] returns, whatever the
// reason. The router is given by cmd/pgrouter through [Options]; this package imports nothing of it save its events.
//
// Goroutines: the load's, the one that keeps the cluster (the supervisor, or who watches Patroni), one that collects the
// router's events, one that asks the nodes how they are, one per event on stage and one that reads keys. Run waits for all.
//
// Locks: journal.mu, nodeWatch.mu, patroni.mu and stage.mu guard their fields, are never held over I/O and never taken together.
package demo
