// Package routing answers where a unit of work may go: [Decide] takes a route, a listener's rules and a snapshot, and returns
// the nodes that are eligible, or why there is none. [Laggards] says which standbys lag too much, given those that did before: its caller
// remembers them. [SessionAttrs] is what a client itself may have to say.
//
// It owns nothing and is pure: no I/O, no clock, no lock, no goroutine. It never opens a node that the snapshot has not proven: writes go
// to Snapshot.Primary or nowhere, and a node that is suspect, down or refused gets no work at all, a standby that Patroni's tags exempt no
// reads. Which of the eligible nodes is taken is the pool's affair (it knows the loads); Rules.Balance says how.
package routing
