// Package topology holds the values in which pgrouter speaks of a cluster (cluster, node, role, incarnation, epoch, snapshot)
// and the pure reducer [Next] that decides who is primary.
//
// It owns no state: whoever calls Next keeps the result. It never reads a clock, opens a socket or starts a goroutine, and
// it imports nothing of the house. A published Snapshot is never changed (I7); a [State] is a value and never changed either.
// It has no goroutines and no locks.
//
// # The rules
//
// A node is ready when it answers, is not in recovery, is not read-only, has the pinned system identifier and a timeline not
// below the floor (the highest ever accepted). A ready node becomes or stays primary when it is proven and has no rival:
//
//   - proven: no floor yet; or the floor's timeline; or a higher timeline whose history contains the floor's. Without a
//     history nothing is proven: writes are held and the alarm says what is missing.
//   - rival: a node that knows a newer timeline; a node that is writable on the same timeline, or is the last primary and
//     may still be; a ready node on a lower timeline that is not an ancestor.
//
// Silence proves nothing: a node is out of the way only when its port refused, its postmaster said that it shuts down, or it
// answered as a standby. A later silence does not take that word back; any sign of life does.
//
// The only evidence today is what SQL on the nodes says. A permission (a leader key, Patroni's REST) will be one more kind of
// observation and one more condition in ready and unproven; nothing else has to know.
package topology
