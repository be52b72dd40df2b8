// Package clustertest ties a testcluster to a test: it skips where PostgreSQL is absent and closes the cluster with the
// test.
//
// It owns nothing: the cluster belongs to the test. It never decides what a cluster looks like. It has no goroutines and
// no locks.
package clustertest
