// Package testcluster runs real PostgreSQL nodes (a primary and its streaming standbys) on free loopback ports in a
// temporary directory, for tests, benchmarks and the demo verb.
//
// [StartPatroni] makes a cluster that real Patroni agents run, with an etcd of its own; it lives in the same kind of directory and ends
// in the same ways. On two busy processors three nodes are ready after 15 to 25 seconds, a leader that is killed together with its agent is
// replaced after 10 to 15, of which the TTL takes up to 10, and both standbys follow 15 after a switchover was asked for.
//
// With PatroniOptions.Apart each member has a network namespace of its own, and so has each guest: [Place.Unplug] pulls a cable, and
// [Place.Part] parts two of them. That takes root. The test sees all of them through an interface that it gets in its own namespace for as
// long as the cluster lives. Namespaces have no names: the kernel removes them with this process, however it ends.
//
// It owns the directories, the processes and the ports of the clusters it started, and removes all of them: on
// [Cluster.Close], when the context given to [Start] ends, and, should this process die, through the parent-death signal
// (on which an agent stops its PostgreSQL first) and the sweep that the next Start makes. It never touches a PostgreSQL that
// it did not start, and it knows nothing of pgrouter.
//
// As root everything of PostgreSQL's runs as the account "postgres", since PostgreSQL refuses to run as root.
//
// Goroutines: one reaper per running daemon, which ends with it; one closer per cluster once its context has ended;
// [Supervisor.Run] runs in its caller's goroutine and starts at most one more per node, which it waits for; so does a look at all
// Patroni agents.
//
// Locks: network.mu guards which places there are; Cluster.mu guards which node is primary; Node.mu guards a node's settings;
// daemon.mu guards a process. None is held while waiting for a process, a query or a file. Node.writing keeps writers of a node's
// settings files in order and is the only lock under which another (Node.mu) is taken.
package testcluster
