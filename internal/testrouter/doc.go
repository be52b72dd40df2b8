// Package testrouter runs the pgrouter binary for tests that look at it from outside: through its ports, its metrics, its
// log and /proc.
//
// It owns the process and its files, and takes both down with the test. It never looks inside.
package testrouter
