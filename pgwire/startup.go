package pgwire

import (
	"encoding/binary"
	"errors"
)

const (
	lengthWord   = 4
	codeWord     = 4
	tlsHandshake = 0x16 // content type of the first record of a TLS connection
)

// errStartupOver is a fault of the caller: the machine had its last event already.
var errStartupOver = errors.New("pgwire: start-up is over")

// StartupKind says what a start-up machine has found.
type StartupKind uint8

// The events of a start-up. Successors: SSLRequest and GSSRequest are followed by any of these but themselves; Cancel and
// Message are the last.
const (
	EventNeedMore   StartupKind = iota // all bytes are taken, the packet is not complete
	EventSSLRequest                    // answer AnswerSSL and begin TLS, or AnswerNone, and go on feeding
	EventGSSRequest                    // answer AnswerNone and go on feeding
	EventCancel                        // PID and Key are set; the connection is to be closed without a byte
	EventMessage                       // Message is set; the login begins
)

// StartupEvent is what Feed has found.
type StartupEvent struct {
	Kind    StartupKind
	PID     uint32         // EventCancel
	Key     []byte         // EventCancel: a copy, 4 to 256 bytes
	Message StartupMessage // EventMessage
}

// Startup reads what a client sends before its login, byte by byte or in one piece. The zero value is ready. It never keeps
// more than MaxStartupLen bytes, and no more than twice what has come.
type Startup struct {
	length  [lengthWord]byte
	have    int    // bytes of length that have come
	body    []byte // what has come of a packet that did not come in one piece
	sslDone bool
	gssDone bool
	over    bool
}

// IsDirectTLS reports whether the first byte that a client sends begins a TLS handshake without an SSLRequest (libpq 17,
// sslnegotiation=direct). It must be asked before anything is fed.
func IsDirectTLS(first byte) bool { return first == tlsHandshake }

// Encrypted tells the machine that TLS stands: neither SSLRequest nor GSSENCRequest may come any more.
func (s *Startup) Encrypted() { s.sslDone, s.gssDone = true, true }

// EOF says what it means that the client's bytes end here: nil when no packet was begun (a port scan, a health check, a
// client that did not like our answer to SSLRequest), else ErrStartupIncomplete, which is to be logged but not sent.
func (s *Startup) EOF() *Error {
	if s.over || s.have == 0 {
		return nil
	}
	return ErrStartupIncomplete.New("")
}

// Feed takes bytes of the client, in order, and returns how many of them belong to the start-up and what they were. The
// error is an *Error ready to be sent (see Error.Silent), after which the connection is to be closed; PostgreSQL's own text
// and code. b is not kept. After EventMessage, EventCancel or an error Feed must not be called again.
//
// Bytes that came together with an SSLRequest or GSSENCRequest are an error: they cannot be part of what the client says
// after our answer (CVE-2021-23214).
func (s *Startup) Feed(b []byte) (used int, ev StartupEvent, err error) {
	if s.over {
		return 0, StartupEvent{}, errStartupOver
	}
	body, used, err := s.take(b)
	if err != nil || body == nil {
		s.over = err != nil
		return used, StartupEvent{}, err
	}
	ev, err = s.packet(body, len(b)-used)
	s.have, s.body = 0, nil
	s.over = err != nil || ev.Kind == EventCancel || ev.Kind == EventMessage
	return used, ev, err
}

// take moves bytes of b into the packet and returns its body, borrowed from b where b holds all of it, once it is complete.
func (s *Startup) take(b []byte) (body []byte, used int, err error) {
	if s.have < lengthWord {
		used = copy(s.length[s.have:], b)
		if s.have += used; s.have < lengthWord {
			return nil, used, nil
		}
		if n := binary.BigEndian.Uint32(s.length[:]); n < lengthWord+codeWord || n > lengthWord+MaxStartupLen {
			return nil, used, ErrStartupLength.New("")
		}
	}
	want := int(binary.BigEndian.Uint32(s.length[:])) - lengthWord - len(s.body)
	rest := b[used:]
	if len(rest) >= want && len(s.body) == 0 {
		return rest[:want], used + want, nil
	}
	n := min(want, len(rest))
	s.keep(rest[:n], want)
	if n < want {
		return nil, used + n, nil
	}
	return s.body, used + n, nil
}

// keep appends b to the body, of which want bytes are missing, without ever holding more than twice what has come.
func (s *Startup) keep(b []byte, want int) {
	if need := len(s.body) + len(b); need > cap(s.body) {
		grown := make([]byte, len(s.body), min(2*need, len(s.body)+want))
		copy(grown, s.body)
		s.body = grown
	}
	s.body = append(s.body, b...)
}

// packet judges a complete packet; behind is the number of bytes that came with it and are not part of it.
func (s *Startup) packet(body []byte, behind int) (StartupEvent, error) {
	switch code := binary.BigEndian.Uint32(body); {
	case code == codeCancelRequest:
		return cancelEvent(body[codeWord:])
	case code == codeSSLRequest && !s.sslDone:
		if behind > 0 {
			return StartupEvent{}, refuseFirst(ErrUnencryptedAfterSSL.New(""))
		}
		s.sslDone = true
		return StartupEvent{Kind: EventSSLRequest}, nil
	case code == codeGSSENCRequest && !s.gssDone:
		if behind > 0 {
			return StartupEvent{}, refuseFirst(ErrUnencryptedAfterGSS.New(""))
		}
		s.gssDone = true
		return StartupEvent{Kind: EventGSSRequest}, nil
	default:
		return startupEvent(uint16(code>>16), uint16(code), body[codeWord:])
	}
}

// refuseFirst makes the error go out behind the one byte that the client waits for.
func refuseFirst(e *Error) *Error {
	e.lead = AnswerNone
	return e
}

func cancelEvent(b []byte) (StartupEvent, error) {
	if len(b) < 4+MinCancelKey || len(b) > 4+MaxCancelKey {
		return StartupEvent{}, ErrStartupLength.New("")
	}
	return StartupEvent{Kind: EventCancel, PID: binary.BigEndian.Uint32(b), Key: append([]byte(nil), b[4:]...)}, nil
}

func startupEvent(major, minor uint16, b []byte) (StartupEvent, error) {
	if major != ProtocolMajor {
		e := ErrProtocolVersion.New("", major, minor)
		e.OldStyle = major < ProtocolMajor && (major > 0 || minor > 0) // 0.0 is answered in the new form, by PostgreSQL as well
		return StartupEvent{}, e
	}
	m := StartupMessage{Major: major, Minor: minor}
	if err := m.parse(b); err != nil {
		return StartupEvent{}, err
	}
	return StartupEvent{Kind: EventMessage, Message: m}, nil
}
