// Package testcluster runs real PostgreSQL nodes (a primary and its streaming standbys) on free loopback ports in a
// temporary directory, for tests, benchmarks and the demo verb.
//
// It owns the directories, the processes and the ports of the clusters it started, and removes all of them: on
// [Cluster.Close], when the context given to [Start] ends, and, should this process die, through the parent-death signal
// and the sweep that the next Start makes. It never touches a PostgreSQL that it did not start, and it knows nothing of
// pgrouter.
//
// As root everything of PostgreSQL's runs as the account "postgres", since PostgreSQL refuses to run as root.
//
// Goroutines: one reaper per running daemon, which ends with it; one closer per cluster once its context has ended;
// [Supervisor.Run] runs in its caller's goroutine and starts at most one more per node, which it waits for.
//
// Locks: Cluster.mu guards which node is primary; Node.mu guards a node's settings; daemon.mu guards a process. None is held
// while waiting for a process, a query or a file. Node.writing keeps writers of a node's settings files in order and is the only
// lock under which another (Node.mu) is taken.
package testcluster
