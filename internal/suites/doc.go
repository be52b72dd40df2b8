// Package suites points test suites of other projects at the router: PostgreSQL's regression and isolation tests, its libpq_pipeline,
// pgproto of Pgpool-II with data files of our own, and the tests of Go's drivers, pgx and lib/pq. Each is run on PostgreSQL directly too,
// which says what is right. What does worse through the router on purpose stands in lists of exceptions, with the reason. The tests run
// only with the build tag suites, because they are long and scripts/setup-suites has to fetch the suites first: make suites.
//
// It owns nothing but tests and their data. Nothing of the suites is in this repository.
package suites
