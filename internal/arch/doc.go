// Package arch reads the sources of the whole module and says where they break the rules of the house: imports that go up or
// sideways, impure pure packages, mutable package variables, functions that grew too long, exported names that say nothing.
//
// It owns the one table of floors ([PGRouter]). It parses the sources itself and asks no tool, so that the test cache sees every
// file it read. It never changes a file, never judges behaviour and is imported by nobody. It has no goroutines and no locks.
package arch
