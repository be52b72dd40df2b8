package proxy

import "github.com/pgrouter/pgrouter/pgwire"

// framing follows a stream of messages of one side that it does not keep, to know where one of them ends.
type framing struct {
	header [pgwire.HeaderLen]byte
	have   int  // bytes of the header that have come
	left   int  // bytes of the message that are to come
	last   byte // the kind of the last message that has begun
	astray bool // a length could not be: from here on nobody knows
}

// pass follows b, and calls begun for each message whose header has come.
func (f *framing) pass(b []byte, begun func(kind byte)) {
	for len(b) > 0 && !f.astray {
		if f.left > 0 {
			n := min(f.left, len(b))
			f.left, b = f.left-n, b[n:]
			continue
		}
		n := copy(f.header[f.have:], b)
		f.have, b = f.have+n, b[n:]
		if f.have < len(f.header) {
			return
		}
		message, _, err := pgwire.PeekFrame(f.header[:])
		f.have, f.left, f.last, f.astray = 0, message.Len-pgwire.HeaderLen, message.Kind, err != nil
		if err == nil {
			begun(message.Kind)
		}
	}
}

// whole reports whether all messages that have begun have ended: something of our own may be said here (I8).
func (f *framing) whole() bool { return f.have == 0 && f.left == 0 && !f.astray }
