// Package static is the source of a cluster's nodes that stand in the configuration.
//
// It owns the list. It never asks anybody anything and never drops a node by itself.
//
// It has no goroutine of its own ([Source.Run] runs in its caller's) and one lock, a leaf, on the list.
package static
