package pgwire

// The versions of the protocol that are spoken here: 3.0 to 3.2, as by PostgreSQL 18. 3.1 was never defined, and is what 3.0 is.
const (
	ProtocolMajor = 3
	ProtocolMinor = 2

	minorLongKeys = 2 // since when cancel keys may be longer than 4 bytes
)

// Lengths of cancel keys, in bytes.
const (
	MinCancelKey   = 4   // the length of all keys up to protocol 3.1
	MaxCancelKey   = 256 // since 3.2
	givenCancelKey = 32  // what PostgreSQL 18 gives, and we
)

// SpokenMinor returns the minor version of the session that the client gets: the one that it has asked for, or the newest.
func (m *StartupMessage) SpokenMinor() uint16 { return min(m.Minor, ProtocolMinor) }

// NeedsNegotiate reports whether the answer begins with NegotiateProtocolVersion.
func (m *StartupMessage) NeedsNegotiate() bool {
	return m.Minor > ProtocolMinor || len(m.Unknown) > 0
}

// CancelKeyLen returns how long the cancel key of a client is whose session is of protocol 3.minor, in bytes.
func CancelKeyLen(minor uint16) int {
	if minor < minorLongKeys {
		return MinCancelKey
	}
	return givenCancelKey
}
