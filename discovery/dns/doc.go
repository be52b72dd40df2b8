// Package dns is the source of a cluster's nodes that follows names: nodes that are configured by a host name, names that lead to
// several addresses (a headless service of Kubernetes), and names of services (SRV).
//
// It owns the names, what they led to last, and when each is asked for again: when the answer's TTL is over, which it reads off the
// messages that pass while Go's resolver asks ([tap]). It never judges who is primary, and an answer that is missing or names nobody takes
// nothing away.
//
// Goroutines: [Source.Run] asks for all names that are due, each on a goroutine that it waits for; those of Go's resolver, for which nobody
// can wait, end with their connections. Locks: Source.mu guards the settings, which a reload replaces, and what pages show; tap.mu what was
// heard. Both are leaves.
package dns
