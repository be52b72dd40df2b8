// Package state knows what a session carries with it: parameter vectors and prepared statements (interned, equality is a
// pointer compare) and the small SQL lexer that tells, from the keywords and names of a statement, what it may leave behind on a
// server; also of a text that
// comes in pieces.
//
// It owns the intern tables of a process's vectors and statements. It is pure otherwise: no clock, no socket, no goroutine. An
// intern table has one mutex, a leaf, never taken on the path of a Bind or a Query.
package state
