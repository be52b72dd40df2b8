// Package ledger drives a VoIP-like load (lookups, registrations, call records, calls in transactions) against a
// PostgreSQL service and proves afterwards, row by row, that no acknowledged write was lost, none was done twice and none
// that certainly failed is there.
//
// Each write puts a row with its client and a number that is used once into the table pgrouter_ledger, which has no unique
// constraint, so that a statement that ran twice shows. Each client keeps a log of what it was told about each number;
// [Load.Verify] compares both on a direct connection. The answer of each statement, lookups too, bears a mark that is used once, so
// that one which reaches another client shows, and one that comes twice.
//
// It owns its clients' connections and three tables (pgrouter_ledger, pgrouter_location, pgrouter_cdr). It never retries a
// statement and knows nothing of pgrouter.
//
// Goroutines: one per client, started and waited for by [Load.Run].
//
// Locks: client.mu guards a client's log and figures, Load.mu the live figures. They are never held over I/O nor taken
// together.
package ledger
