// Package soak lets a router live through hours of load and faults and counts afterwards: nothing lost, nothing doubled,
// nothing grown. The test runs only with the build tag soak, because it is long: make soak SOAK=30m.
//
// It owns the cluster, the router's process, the load and the faults, and takes all of them down. The router is the binary,
// looked at from outside: through its ports, its metrics and /proc.
package soak
