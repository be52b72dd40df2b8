// Package oracle compares the router with PostgreSQL itself. The same bytes go to a real server directly and through the router,
// in each pool mode, whole and in pieces, and with the server taken away between two transactions; what comes back is compared
// message by message. Probes are what a client leaves in its session: it keeps it on every server, and nobody else sees it. Random
// streams of messages, random programs of statements and a count of rows look for what nobody has written a script for.
//
// It owns nothing but tests: scripts are tables in the files scripts_*_test.go, probes one in probes_test.go, and what differs
// on purpose stands with its reason in allowed_test.go.
package oracle
