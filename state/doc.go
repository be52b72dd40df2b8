// Package state knows what a session carries with it: vectors of its settings and prepared statements (interned, equality is a
// pointer compare), the SQL that makes one vector of another, and the small SQL lexer that tells, from the keywords and names of a
// statement, what it may leave behind on a server, and which settings it touches; also of a text that comes in pieces.
//
// It owns the intern tables of a process's vectors and statements. It is pure otherwise: no clock, no socket, no goroutine. An
// intern table has one mutex, a leaf, never taken on the path of a Bind or a Query.
package state
