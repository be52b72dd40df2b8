// Package tools pins, in a module of its own, the tools that the makefile runs: golangci-lint (with gofumpt inside it) and
// benchstat. The product's go.mod stays free of them. It owns nothing, runs nothing, has no goroutines and no locks.
package tools
