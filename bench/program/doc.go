// Package program is what all benchmarks need around PostgreSQL: programs that are compared, started from here or from the folder with a
// Debian 13 and stopped again, and a word on the machine that the numbers are of.
//
// It owns the processes that it started until [Process.Stop]; should the benchmark die, they die with it. It knows nothing of what they
// are asked to do. Goroutines: one reaper per process, which ends with it. Locks: none.
package program
