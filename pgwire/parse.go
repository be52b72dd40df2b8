package pgwire

import (
	"encoding/binary"
	"errors"
)

// Faults of message bodies.
var (
	errNoTerminator = errors.New("pgwire: a string has no end")
	errTooShort     = errors.New("pgwire: message too short")
	errTrailing     = errors.New("pgwire: bytes behind the end of the message")
)

// ParseParameterStatus reads the body of a ParameterStatus. name and value are borrowed from body.
func ParseParameterStatus(body []byte) (name, value []byte, err error) {
	name, rest, ok := CString(body)
	if !ok {
		return nil, nil, errNoTerminator
	}
	value, rest, ok = CString(rest)
	if !ok {
		return nil, nil, errNoTerminator
	}
	if len(rest) > 0 {
		return nil, nil, errTrailing
	}
	return name, value, nil
}

// ParseBackendKeyData reads the body of a BackendKeyData. key, 4 to 256 bytes, is borrowed from body.
func ParseBackendKeyData(body []byte) (pid uint32, key []byte, err error) {
	if len(body) < 4+MinCancelKey {
		return 0, nil, errTooShort
	}
	if len(body) > 4+MaxCancelKey {
		return 0, nil, errTrailing
	}
	return binary.BigEndian.Uint32(body), body[4:], nil
}

// ParseAuthentication reads the body of an AuthenticationRequest: its code (AuthOk…) and what follows it, borrowed from body.
func ParseAuthentication(body []byte) (code uint32, data []byte, err error) {
	if len(body) < 4 {
		return 0, nil, errTooShort
	}
	return binary.BigEndian.Uint32(body), body[4:], nil
}

// ParseMechanisms reads the list of mechanisms in the data of an AuthenticationSASL.
func ParseMechanisms(data []byte) ([]string, error) {
	var names []string
	for {
		name, rest, ok := CString(data)
		if !ok {
			return nil, errNoTerminator
		}
		if len(name) == 0 {
			return names, nil
		}
		names, data = append(names, string(name)), rest
	}
}

// ParseNegotiate reads the body of a NegotiateProtocolVersion: the minor version of the session, or the newest of the server, and
// the protocol options that it does not know.
func ParseNegotiate(body []byte) (minor uint16, unknown []string, err error) {
	if len(body) < 8 {
		return 0, nil, errTooShort
	}
	minor = binary.BigEndian.Uint16(body[2:])
	rest := body[8:]
	for n := binary.BigEndian.Uint32(body[4:]); n > 0; n-- {
		name, after, ok := CString(rest)
		if !ok {
			return 0, nil, errNoTerminator
		}
		unknown, rest = append(unknown, string(name)), after
	}
	return minor, unknown, nil
}

// ParseDataRow reads the body of a DataRow into dst, which it returns grown. The values are borrowed from body; NULL is nil.
func ParseDataRow(dst [][]byte, body []byte) ([][]byte, error) {
	if len(body) < 2 {
		return dst, errTooShort
	}
	rest := body[2:]
	for n := binary.BigEndian.Uint16(body); n > 0; n-- {
		if len(rest) < 4 {
			return dst, errTooShort
		}
		size := int(int32(binary.BigEndian.Uint32(rest)))
		rest = rest[4:]
		if size < 0 {
			dst = append(dst, nil)
			continue
		}
		if size > len(rest) {
			return dst, errTooShort
		}
		dst, rest = append(dst, rest[:size:size]), rest[size:]
	}
	return dst, nil
}
