// Command failover measures what clients feel when the primary of a real Patroni cluster is moved, killed or frozen under load, once
// through pgrouter and once through each stack that it takes the place of: HAProxy, and HAProxy in front of a PgBouncer on each node.
//
// Every event has clients of its own: the ledger's, which prove afterwards on a direct connection what was lost or doubled. Beside them a
// watcher writes directly on whichever node takes writes, so that Patroni's own time can be taken off: what is left is the stack's.
// All stacks stand in front of one cluster, one after the other, in one run; numbers of two runs are not to be compared.
//
// It owns the cluster, the stacks' processes and their folder, and takes them away at the end. It never talks to anything but loopback.
// Goroutines: those of the loads and one per node that watches; each event waits for its own. Locks: watch.mu guards the watcher's times.
package main
