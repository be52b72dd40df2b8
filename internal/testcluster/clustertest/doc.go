// Package clustertest ties a testcluster to a test, or to all tests of a package: it skips where PostgreSQL is absent and closes the
// cluster with the test, or after the last one.
//
// It owns nothing: the cluster belongs to the test, or to the package's TestMain. It never decides what a cluster looks like. It has
// no goroutines and no locks.
package clustertest
