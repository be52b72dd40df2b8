package proxy

// tailKept is the capacity in bytes that an empty tail keeps for the next time. More is given back, so that an idle client
// costs little.
const tailKept = 2048

// tail holds bytes that came and could not be used yet: queries that wait for a server, the beginning of a message. Slices
// of it may have been given to Conn.Send, which borrows them until the callback is over; so within one callback it only
// grows or shrinks at its ends, and is compacted by the next join.
type tail struct {
	buf []byte
	off int
}

func (t *tail) len() int { return len(t.buf) - t.off }

// join returns what is pending together with b. When nothing is pending that is b itself, uncopied, and joined is false.
func (t *tail) join(b []byte) (all []byte, joined bool) {
	if t.len() == 0 {
		return b, false
	}
	if t.off > 0 {
		n := copy(t.buf, t.buf[t.off:])
		t.buf, t.off = t.buf[:n], 0
	}
	t.buf = append(t.buf, b...)
	return t.buf, true
}

// keep remembers what was not used of the result of join.
func (t *tail) keep(rest []byte, joined bool) {
	switch {
	case len(rest) == 0:
		t.clear()
	case joined:
		t.off = len(t.buf) - len(rest)
	default:
		t.buf, t.off = append(t.buf[:0], rest...), 0
	}
}

// clear forgets everything. The bytes themselves stay as they are until the next join or keep.
func (t *tail) clear() {
	t.off = 0
	if cap(t.buf) > tailKept {
		t.buf = nil
		return
	}
	t.buf = t.buf[:0]
}

// pending returns what is kept.
func (t *tail) pending() []byte { return t.buf[t.off:] }
