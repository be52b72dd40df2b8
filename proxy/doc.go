// Package proxy serves clients: it accepts them, lets them log in, links their units of work to servers of the pool, and
// tells them what the contract says when a server is lost.
//
// It owns the listeners, the client sessions and their registry, the cancel keys and the drain. It never decides who is
// primary (topology), which node fits (routing), what a byte means (relay) or which server is free (pool); it never dials.
//
// Stations of a client, one file each: listener.go, startup.go, login.go, authenticate.go, greeting.go, session.go, clientend.go,
// unit.go, wait.go, serverend.go, lost.go, cancel.go, migrate.go, drain.go; beside them heed.go, place.go and registry.go. Clients of the
// replication protocol: replicationlogin.go, replication.go, framing.go.
//
// Goroutines: one accept loop for each listener; one for each client from accept to the end of its login and one more while that
// waits, one for each console, one for each cancel request, three for each client of replication, all owned and waited for by Proxy.
// Another client that is logged in has none: its session belongs to an event loop, and every method of Session that does not say
// otherwise runs there.
//
// Locks: Proxy.mu, registry.mu, cancelTable.mu, place.mu, login.mu, replication.mu, metrics.errors. All are leaves: nothing is called
// while one is held.
package proxy
