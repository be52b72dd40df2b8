// Command bench compares a router with PgBouncer, or any two proxies with each other: the same pgbench through both in
// paired rounds on one machine, with the CPU time of each proxy alone. In a round both loads are there, and run in turn for half a
// second each (-turn): what else the machine has to do changes in seconds. Between two turns neither runs for a moment, so that a proxy's work is
// done when its turn ends; what it does for itself while the other load runs, such as asking its nodes how they are, does not count.
//
// The first number is CPU per transaction, read from the kernel's clock of the process between two of pgbench's progress reports, so
// that logins and warm-up are outside. Transactions per second come second: on a small machine the proxy is a quarter of the load and a
// neighbour's noise is larger than a proxy's merit. Only ratios within one round are worth comparing, never numbers of two days.
// Each proxy has a session of its own, as a service has, because the kernel shares the processors out between sessions (sched_autogroup).
// A round in which the host of the machine gave more than a few percent of its time to others is measured again, whatever it says.
//
// With -instructions nothing is timed: valgrind counts what the subject's own code executes for a transaction. That is a sixth of its time;
// the kernel has the rest. The count is repeated within three percent; on a machine with much more to do
// than it has processors the router sleeps more often and counts up to an eighth more, so that two builds are compared one right after the
// other.
//
// It owns a temporary PostgreSQL, both proxies and their folders, and takes them away at the end. It never talks to anything but
// loopback. Goroutines: one reaper per child process, which ends with it; in a round one for each load, and one that lets them take turns.
// Locks: each load's stopwatch has one, held while its process is signalled and its meters are read.
package main
