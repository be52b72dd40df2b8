// Command pgrouter takes the place of HAProxy, PgBouncer and their scripts in front of a PostgreSQL primary/standby cluster.
//
// It owns the verbs, the wiring, the signals and the teardown in reverse order. It decides nothing about bytes, servers or
// primaries. main is a few lines; run(ctx, args, …) returns an error.
package main
