// Package config reads how pgrouter is to run: the TOML file, or the environment when there is no file.
//
// It owns the names, types, defaults and limits of all settings: they stand once, in the tags of its structs, and the
// reader, the environment's variable names, [Config.Show] and docs/configuration.md are all made from them. It is strict:
// an unknown key is a fault, and all faults are reported at once, each with its place and a hint.
//
// It never prints a secret, opens a socket or keeps anything in force: what it returns is plain data, turned into the
// configurations of the other packages by cmd/pgrouter. It imports nothing of the house.
//
// It has no goroutines and no locks.
package config
