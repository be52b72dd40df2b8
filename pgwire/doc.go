// Package pgwire is PostgreSQL's wire protocol as bytes and values: it finds the frames of messages, reads start-up packets,
// builds and reads the messages that pgrouter itself sends or understands, and holds the one table of the errors that
// pgrouter sends ([ErrID]).
//
// It owns the protocol's numbers (message kinds, limits, request codes, SQLSTATEs) and the texts that clients see. It never
// opens a socket, reads a clock, logs, or keeps a connection's state; the one machine it has, [Startup], belongs to its
// caller and is fed with bytes.
//
// It has no goroutines and no locks. Whatever a function returns as []byte is borrowed from its argument; whatever it
// returns as string is a copy. The Append functions write to the end of their first argument and do not allocate when it has
// room; [PeekFrame], [PeekFrontend] and [PeekBackend] do not allocate unless they fail.
package pgwire
