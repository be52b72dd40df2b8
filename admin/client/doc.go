// Package client asks other routers over HTTP: the one that runs, for the verbs, and the peers, for whoever holds a primary.
//
// It owns its connections and what is known of each peer. It decides nothing, passes no order of a peer on, and never waits longer than an
// order does and a margin. Bodies are those of package admin.
//
// Goroutines: one for each peer while it is asked, which Hold, Release and Watch wait for. Watch runs on its caller's.
//
// Locks: Peers.mu, a leaf.
package client
