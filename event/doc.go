// Package event is the one schema of what pgrouter tells about itself: the kinds of events and the reasons behind holds,
// cuts, pins and closings.
//
// It owns names, nothing else. It never logs, counts or keeps; a [Sink] is injected by cmd/pgrouter and does that.
// It has no goroutines and no locks.
package event
