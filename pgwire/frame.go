package pgwire

import "encoding/binary"

// Sizes of the protocol, in bytes.
const (
	HeaderLen     = 5          // kind and length word of a message
	MaxStartupLen = 10000      // of a start-up packet without its length word (PostgreSQL's MAX_STARTUP_PACKET_LENGTH)
	MaxMessageLen = 0x3fffffff // of a whole message from a client, header included (PQ_LARGE_MESSAGE_LIMIT + its kind byte)

	// MaxServerMessageLen bounds a whole message from a server, header included: PostgreSQL builds a body of at most
	// MaxAllocSize-1 bytes and puts the header in front of it, so the longest row is a little longer than MaxMessageLen.
	MaxServerMessageLen = 0x3ffffffe + HeaderLen
)

// Limits of the length word, which counts itself but not the kind.
const (
	minLength      = 4
	smallLength    = 10000             // PQ_SMALL_MESSAGE_LIMIT
	passwordLength = 65535             // PG_MAX_AUTH_TOKEN_LENGTH
	largeLength    = MaxMessageLen - 1 // PQ_LARGE_MESSAGE_LIMIT
	serverLength   = MaxServerMessageLen - 1
)

// Frame is the header of one message.
type Frame struct {
	Kind byte
	Len  int // of the whole message, header included
}

// Body returns what follows the header of the message that b begins with. b must hold the whole message.
func (f Frame) Body(b []byte) []byte { return b[HeaderLen:f.Len] }

// PeekFrame reads the header that b begins with, of a message of either side. ok is false when b has fewer than HeaderLen
// bytes. The error, an *Error, says that the length cannot be.
func PeekFrame(b []byte) (f Frame, ok bool, err error) {
	if len(b) < HeaderLen {
		return Frame{}, false, nil
	}
	length := binary.BigEndian.Uint32(b[1:])
	if length < minLength || length > serverLength {
		return Frame{}, false, ErrMessageLength.New("")
	}
	return Frame{Kind: b[0], Len: int(length) + 1}, true, nil
}

// PeekFrontend reads the header of a message from a client, under PostgreSQL's own limits for its kind. ok is false when b
// has fewer than HeaderLen bytes. The error is an *Error: ErrMessageType for an unknown kind, ErrMessageLength. KindPassword
// is known here; a caller whose client has logged in refuses it as ErrMessageType, as PostgreSQL does.
func PeekFrontend(b []byte) (f Frame, ok bool, err error) {
	if len(b) < HeaderLen {
		return Frame{}, false, nil
	}
	length := binary.BigEndian.Uint32(b[1:])
	if !frontendWindows[b[0]].holds(length) {
		return Frame{}, false, frontendFault(b[0])
	}
	return Frame{Kind: b[0], Len: int(length) + 1}, true, nil
}

// PeekBackend reads the header of a message from a server. ok is false when b has fewer than HeaderLen bytes. The error is
// an *Error, ErrServerProtocol: an unknown kind, or a length that this kind cannot have.
func PeekBackend(b []byte) (f Frame, ok bool, err error) {
	if len(b) < HeaderLen {
		return Frame{}, false, nil
	}
	length := binary.BigEndian.Uint32(b[1:])
	if !backendWindows[b[0]].holds(length) {
		return Frame{}, false, ErrServerProtocol.New("")
	}
	return Frame{Kind: b[0], Len: int(length) + 1}, true, nil
}

// WholeFrontend returns the length of the message from a client that b begins with; 0 when it is not whole, or when PeekFrontend has
// something to say against it.
func WholeFrontend(b []byte) int {
	if len(b) < HeaderLen {
		return 0
	}
	return whole(b, frontendWindows[b[0]])
}

// WholeBackend is WholeFrontend for a message from a server, and PeekBackend.
func WholeBackend(b []byte) int {
	if len(b) < HeaderLen {
		return 0
	}
	return whole(b, backendWindows[b[0]])
}

func whole(b []byte, w window) int {
	length := binary.BigEndian.Uint32(b[1:])
	if int(length) >= len(b) || !w.holds(length) {
		return 0
	}
	return int(length) + 1
}

func frontendFault(kind byte) *Error {
	if frontendWindows[kind] == (window{}) {
		return ErrMessageType.New("", kind)
	}
	return ErrMessageLength.New("")
}

// window says what the length word of a kind of message may be. The zero window holds nothing: there is no such kind.
type window struct{ min, max uint32 }

func (w window) holds(length uint32) bool { return length != 0 && length-w.min <= w.max-w.min }

// Windows of the length word.
var (
	headerOnly  = window{minLength, minLength}
	oneByteBody = window{minLength + 1, minLength + 1}
	smallBody   = window{minLength, smallLength}
	largeBody   = window{minLength, largeLength}
)

// frontendWindows is what the length word of each kind of client message may be (SocketBackend in PostgreSQL's postgres.c,
// recv_password_packet in auth.c).
var frontendWindows = [256]window{
	KindQuery: largeBody, KindParse: largeBody, KindBind: largeBody, KindFunctionCall: largeBody, KindCopyData: largeBody,
	KindPassword: {minLength, passwordLength},
	KindClose:    smallBody, KindDescribe: smallBody, KindExecute: smallBody, KindFlush: smallBody, KindSync: smallBody,
	KindTerminate: smallBody, KindCopyDone: smallBody, KindCopyFail: smallBody,
}

// backendWindows is what the length word of each kind of server message may be.
var backendWindows = [256]window{
	KindParseComplete: headerOnly, KindBindComplete: headerOnly, KindCloseComplete: headerOnly, KindNoData: headerOnly, KindPortalSuspended: headerOnly,
	KindEmptyQueryResponse: headerOnly, KindCopyDone: headerOnly,
	KindReadyForQuery:        oneByteBody,
	KindAuthentication:       {8, serverLength},
	KindBackendKeyData:       {12, 8 + MaxCancelKey},
	KindCommandComplete:      {5, serverLength},
	KindCopyInResponse:       {7, serverLength},
	KindCopyOutResponse:      {7, serverLength},
	KindCopyBothResponse:     {7, serverLength},
	KindCopyData:             {4, serverLength},
	KindDataRow:              {6, serverLength},
	KindErrorResponse:        {5, serverLength},
	KindNoticeResponse:       {5, serverLength},
	KindFunctionCallResponse: {8, serverLength},
	KindNegotiate:            {12, serverLength},
	KindNotification:         {10, serverLength},
	KindParameterDescription: {6, serverLength},
	KindParameterStatus:      {6, serverLength},
	KindRowDescription:       {6, serverLength},
}
