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
// # With a DCS
//
// SQL shows readiness; permission is the DCS's to give (Limits.DCS). A ready node becomes or stays primary with one of these mandates:
//
//   - The DCS's word is fresh, no older than its lease, and names the node. Then no proof of descent is asked for: who holds the leader
//     key leads, the DCS has chosen, and a router that refused would save no commit of another branch, it would only add an outage.
//     The floor stands all the same, so a key that was read late opens no old primary; what is not proven is said in the event.
//     Another node on the same or a newer timeline is overruled, and refused while it takes writes, if the DCS was asked after it was
//     first seen so. Otherwise the word may be outdated (a lease that ends right after it was read is taken by another), and writes are
//     held until the DCS has spoken again, which takes a moment.
//   - Patroni is paused, by a fresh word: the rules above alone count.
//   - The DCS is silent, the node is the primary, or was until it merely missed a heartbeat, on the same timeline; its own agent says
//     that it leads, no other agent says so of its node, and there is no rival by the rules above. HoldWithoutDCS forbids this.
//
// A fresh word that names another node or nobody ends the reign at once, also before the other is ready. So does the denial of the
// node's own agent while the DCS is silent; mere silence leaves the primary in doubt. While the DCS is silent no other node is opened,
// and none whose reign has ended. A node whose agent is stopping or still promoting it is not opened, although SQL answers,
// unless the agent was asked before the node was first seen so.
//
// Of several sources the one that was asked last has the DCS's word. The identity that it tells (initialize) is the cluster's as long
// as none is pinned; a DCS that speaks of another cluster than the pinned one permits nothing.
package topology
