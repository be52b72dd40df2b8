// Package relay decides, purely, what happens to the bytes between one client and one server: which are forwarded, swallowed
// or held, what is outstanding, where a unit of work begins and ends, and what may be done when the server is lost.
//
// It owns the protocol state of a link (FIFO of what is outstanding, framing of both directions, transaction status, the
// client's statements, those of a server, pins) and proves "never twice" (I8, contract table in docs/errors.md). It never reads a clock,
// touches a socket or starts a goroutine, and it allocates only when a client uses more of the protocol than before: bytes go
// in, verdicts come out, so that model tests and fuzzers reach every corner.
//
// A Link belongs to the event loop of its session; there are no locks.
package relay
