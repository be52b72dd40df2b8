// Package drill rehearses failovers: a cluster that real Patroni agents run, the router's binary in front of it, and a load of which
// each row is counted afterwards on a direct connection. A [Plan] says what happens and which errors clients may see meanwhile; [Run]
// lets it happen, holds what was seen against the plan, and returns the figures.
//
// What must hold in every drill needs no plan: no row is there twice or without its other half, no answer reaches somebody else, no
// 25006 reaches anybody, the router's counters of faults stay 0. With synchronous_mode_strict nothing that was acknowledged is missing;
// without it only the tail that the new primary never received.
//
// In a cluster whose members live apart the routers do so too, and clients, who are with the test, reach the routers and every node alike.
//
// It owns the cluster, the routers and the load, and takes all of them down with the test. The router is looked at from outside alone.
// What a failover takes is told, and compared with what a direct connection sees at the same time; no speed is asserted.
//
// Goroutines: one for each load, and one for each node that looks at it directly; [Run] waits for all of them.
//
// Locks: eyewitness.mu guards what was seen, Network.mu the proxies; both are leaves.
package drill
