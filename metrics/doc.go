// Package metrics is the registry of everything that pgrouter counts, and the one way in which metrics are named.
//
// It owns the registry with the Go runtime's and the process's own metrics in it, and the HTTP handler that serves it. It
// never defines a metric of the house: each package keeps its own in its metrics.go. It imports nothing of the house.
//
// It has no goroutines and no locks of its own; a [Registry] is safe for concurrent use.
package metrics
