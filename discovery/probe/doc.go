// Package probe asks PostgreSQL nodes by SQL who they are: the heartbeat and the readiness witness of discovery.
//
// It owns one reserved connection per node, outside all pools and limits, and a second one (replication=database) while a new
// primary is awaited or the history of a timeline has to be fetched. It asks and reports; it never judges who is primary, never
// writes, never cancels anything, and never takes a client's settings. Passwords never appear in its errors.
//
// What the probe's role needs: CONNECT on the database; on clusters without a leader key in a DCS also REPLICATION, because a
// promoted standby proves by its timeline history that it descends from the old primary. Everything else is open to every role
// by default (PostgreSQL 10 and newer); membership in pg_monitor shows on standbys which timeline they stream. What the role may
// not see is named in the observation's Note together with the statement that allows it.
//
// Goroutines: a session has at most one errand under way, which logs in and fetches a history, and waits for it in Close. pgconn
// starts one when a connection breaks in the middle of an answer; a session waits for its end before it goes on. Locks: one in
// each line, a leaf, on what pgconn has dialled. A session belongs to one goroutine at a time.
package probe
