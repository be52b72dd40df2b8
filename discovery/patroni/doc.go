// Package patroni is the source of a cluster's nodes that asks Patroni's REST interface: who is a member, who holds the leader lock,
// what each agent says of its own server.
//
// It owns the list of members that were found and what is asked of whom. It asks and tells, and hands over an order for a
// switchover or failover when it is told to; it never judges who is primary, never changes anything in Patroni by itself, never gives
// an order twice, and follows no redirect. Passwords never appear in its errors.
//
// Goroutines: [Source.Run] asks one member for the cluster, another one when that fails, and starts one goroutine per member found,
// which asks that member alone of itself, so that one that hangs delays nobody. Run waits for all of them. Locks: one, a leaf, on the
// settings, which a reload replaces.
package patroni
