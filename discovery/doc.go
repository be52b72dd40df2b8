// Package discovery knows, for one cluster, which nodes there are and which of them is primary: a [Manager] gathers what
// its sources and its prober bring, reduces it with topology.Next and publishes the result as an immutable snapshot.
//
// It owns the reducer's state, the pace of the probes, and the floor file of the cluster. It never decides by itself (the
// reducer does), never opens a connection (a [Prober] does), and never publishes a snapshot that it will change again (I7).
//
// Goroutines: [Manager.Run] is the cluster's own goroutine and the only one that reduces and publishes. It starts one per
// source, one per node (a watcher, which blocks in that node's [Session] only) and one that writes the floor; it waits for all
// of them before it returns.
//
// Locks: Manager.mu guards the list of watchers and of subscribers, watcher.mu the handle that wakes a resting watcher. Both
// are leaves: nothing is called under them. Readers of the snapshot take none.
package discovery
