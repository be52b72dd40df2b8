package wiretest

import "time"

// Direction is one of the two halves of a proxied connection.
type Direction uint8

// The directions.
const (
	ToServer Direction = iota
	ToClient
)

// String returns the direction's name.
func (d Direction) String() string {
	if d == ToServer {
		return "to server"
	}
	return "to client"
}

// How says in which way a connection is cut.
type How uint8

// The ways to cut a connection.
const (
	Reset     How = iota // RST to both sides, as a crashed machine that came back or a firewall does
	Finish               // FIN to both sides, as an ending process does
	HalfClose            // FIN to the receiving side only; the other direction goes on, further bytes of this one are thrown away
	Vanish               // further bytes of this direction are read and thrown away; both sides believe the connection lives
)

// Cut ends a direction after At of its bytes were passed on. At 0 cuts before the first byte: the peer has sent it and
// nobody will ever answer.
type Cut struct {
	At  int64
	How How
}

// Fault is what a proxy does to one direction of its connections. The zero value passes everything on at once.
type Fault struct {
	Delay time.Duration // each byte arrives that much later; the throughput stays
	Chunk int           // bytes are passed on in writes of at most that many; 1 makes readers see single bytes. 0: as they come
	Hole  bool          // nothing is read or passed on until the fault is lifted: a partition that heals
	Cut   *Cut          // counted per connection from its beginning; nil: never
}
