// Package wiretest gives tests scripted PostgreSQL peers (a client that sends and expects messages, a server that plays a
// script), readable traces of conversations with golden files, and a TCP proxy with faults that can be switched at run
// time. It has a DNS server, too.
//
// It owns the sockets it opened; Close of each type ends its goroutines and waits for them. It knows the protocol through
// pgproto3 only and nothing of pgrouter's own packages, so that both cannot be wrong in the same way.
//
// A Dialogue is what a client has heard of a real server, so that it can be compared with what another one says to the same bytes.
//
// Goroutines: a Server has one that accepts and one per connection; a Proxy has one that accepts and four per connection
// (a reader and a writer per direction). A Peer has none. DNS has one for
// packets, one that accepts and one per connection.
//
// Locks: Server.mu, Proxy.mu, Trace.mu and DNS.mu guard their fields and are never held over I/O.
package wiretest
