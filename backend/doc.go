// Package backend makes one server connection: it dials a node, logs in, reads until the server is ready, and admits the
// connection only if the node is what it was wanted for. It also delivers cancel requests.
//
// It owns a connection while it is being made; a [Conn] belongs to whoever called [Dial], who hands its Socket to an event
// loop. It never pools, retries, chooses a node, logs, or talks on a connection after it was handed out.
//
// Everything a server sends is bounded and checked: the messages of a login have an order, a size and a number, and the
// whole of it a time. What does not fit is an error, and the connection is closed; there is no resynchronising.
//
// It has no goroutines of its own and no locks; Dial and Cancel block their caller and honour its context at every step.
package backend
