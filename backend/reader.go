package backend

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/pgrouter/pgrouter/pgwire"
)

// Limits on what a server may send before it is in use. PostgreSQL needs about a kilobyte.
const (
	maxMessage  = 64 << 10 // one message, in bytes
	maxTotal    = 1 << 20  // all of them
	firstBuffer = 4 << 10

	// maxErrorLen is the longest first ErrorResponse that is not taken for one in the style of protocol 2.0 (libpq).
	maxErrorLen = 30000
)

// reader cuts what a server sends into messages. It reads ahead; rest has what was read too far.
type reader struct {
	src   io.Reader
	buf   []byte // read and not yet taken
	total int    // bytes read
	begun bool   // a message was taken
}

// message returns the next one. The body is valid until the next call.
func (r *reader) message() (kind byte, body []byte, err error) {
	frame, err := r.header()
	if err != nil {
		return 0, nil, err
	}
	if err := r.need(frame.Len); err != nil {
		return 0, nil, err
	}
	r.begun = true
	body = frame.Body(r.buf)
	r.buf = r.buf[frame.Len:]
	return frame.Kind, body, nil
}

func (r *reader) header() (pgwire.Frame, error) {
	if err := r.need(pgwire.HeaderLen); err != nil {
		return pgwire.Frame{}, err
	}
	frame, _, err := pgwire.PeekBackend(r.buf)
	if r.buf[0] == pgwire.KindErrorResponse && !r.begun && (err != nil || frame.Len > maxErrorLen) {
		return pgwire.Frame{}, r.oldError()
	}
	if err != nil {
		return pgwire.Frame{}, violation("unknown message or impossible length", r.buf[0])
	}
	if frame.Len > maxMessage {
		return pgwire.Frame{}, violation("message too long", frame.Kind)
	}
	return frame, nil
}

// need reads until n bytes are there.
func (r *reader) need(n int) error {
	for len(r.buf) < n {
		if err := r.fill(n - len(r.buf)); err != nil {
			return err
		}
	}
	return nil
}

// fill reads once, with room for at least more bytes.
func (r *reader) fill(more int) error {
	if r.total >= maxTotal {
		return violation("the server sends too much before it is ready", 0)
	}
	r.buf = slices.Grow(r.buf, max(more, firstBuffer))
	n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf = r.buf[:len(r.buf)+n]
	r.total += n
	if n > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return errClosed
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// errClosed wraps io.ErrUnexpectedEOF in words.
var errClosed = &closedError{}

type closedError struct{}

// Error implements error.
func (*closedError) Error() string { return "the server closed the connection" }

// Unwrap implements errors.Is(err, io.ErrUnexpectedEOF).
func (*closedError) Unwrap() error { return io.ErrUnexpectedEOF }

// oldError reads an error in the style of protocol 2.0: 'E' and a text that ends with NUL. A postmaster that cannot start a
// process still sends it.
func (r *reader) oldError() error {
	for {
		text, _, ended := bytes.Cut(r.buf[1:], []byte{0})
		if len(text) > maxErrorLen {
			return violation("impossible length", pgwire.KindErrorResponse)
		}
		if !ended {
			if err := r.fill(1); err == nil {
				continue
			} else if !errors.Is(err, errClosed) {
				return err
			}
		}
		if !isText(text) {
			return violation("impossible length", pgwire.KindErrorResponse)
		}
		message := strings.TrimSpace(string(text))
		return &refusal{&pgwire.Error{Severity: pgwire.SeverityFatal, Message: message}}
	}
}

// isText reports whether b can be an error message: no control characters but white space.
func isText(b []byte) bool {
	return len(b) > 0 && !bytes.ContainsFunc(b, func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' && c != '\r' })
}

// rest returns what was read and not taken.
func (r *reader) rest() []byte { return r.buf }
