package wiretest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Side says who sent a message.
type Side byte

// The sides, as traces print them.
const (
	Frontend Side = 'F'
	Backend  Side = 'B'
)

const (
	headerLen  = 5
	lengthLen  = 4
	maxMessage = 64 << 20 // a test that needs more is wrong
)

// Message is one message as it came: its bytes, what pgproto3 made of them, and how a trace prints it.
type Message struct {
	Kind  byte             // 0 for the messages of the start-up, which have no kind
	Raw   []byte           // all bytes, the header included
	Value pgproto3.Message // nil when pgproto3 has no type for it or could not decode it
	Text  string
}

// Body returns the bytes behind the header.
func (m Message) Body() []byte {
	if m.Kind == 0 {
		return m.Raw[lengthLen:]
	}
	return m.Raw[headerLen:]
}

// readMessage reads one typed message and not a byte more.
func readMessage(r io.Reader, from Side) (Message, error) {
	header := make([]byte, headerLen)
	if _, err := io.ReadFull(r, header); err != nil {
		return Message{}, err
	}
	raw, err := readRest(r, header, binary.BigEndian.Uint32(header[1:]), lengthLen)
	if err != nil {
		return Message{}, err
	}
	return newMessage(from, header[0], raw), nil
}

// readStartup reads one message of the start-up, which has no kind.
func readStartup(r io.Reader) (Message, error) {
	header := make([]byte, lengthLen)
	if _, err := io.ReadFull(r, header); err != nil {
		return Message{}, err
	}
	raw, err := readRest(r, header, binary.BigEndian.Uint32(header), lengthLen)
	if err != nil {
		return Message{}, err
	}
	m := Message{Raw: raw}
	m.Value = decodeStartup(m.Body())
	m.Text = format(m)
	return m, nil
}

func readRest(r io.Reader, header []byte, length uint32, counted int) ([]byte, error) {
	if length < lengthLen || length > maxMessage {
		return nil, fmt.Errorf("message of length %d", length)
	}
	raw := make([]byte, len(header)+int(length)-counted)
	copy(raw, header)
	if _, err := io.ReadFull(r, raw[len(header):]); err != nil {
		return nil, unexpected(err)
	}
	return raw, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func newMessage(from Side, kind byte, raw []byte) Message {
	m := Message{Kind: kind, Raw: raw}
	value := frontendType(kind)
	if from == Backend {
		value = backendType(kind, raw[headerLen:])
	}
	if value != nil && value.Decode(raw[headerLen:]) == nil {
		m.Value = value
	}
	m.Text = format(m)
	return m
}

const (
	cancelCode  = 80877102
	sslCode     = 80877103
	gssCode     = 80877104
	codeLen     = 4
	authCodeLen = 4
)

func decodeStartup(body []byte) pgproto3.Message {
	if len(body) < codeLen {
		return nil
	}
	var value pgproto3.Message
	switch binary.BigEndian.Uint32(body) {
	case cancelCode:
		value = &pgproto3.CancelRequest{}
	case sslCode:
		value = &pgproto3.SSLRequest{}
	case gssCode:
		value = &pgproto3.GSSEncRequest{}
	default:
		value = &pgproto3.StartupMessage{}
	}
	if value.Decode(body) != nil {
		return nil
	}
	return value
}

func frontendType(kind byte) pgproto3.Message {
	types := map[byte]pgproto3.Message{
		'B': &pgproto3.Bind{}, 'C': &pgproto3.Close{}, 'D': &pgproto3.Describe{}, 'E': &pgproto3.Execute{},
		'F': &pgproto3.FunctionCall{}, 'H': &pgproto3.Flush{}, 'P': &pgproto3.Parse{}, 'Q': &pgproto3.Query{},
		'S': &pgproto3.Sync{}, 'X': &pgproto3.Terminate{}, 'c': &pgproto3.CopyDone{}, 'd': &pgproto3.CopyData{},
		'f': &pgproto3.CopyFail{}, 'p': &pgproto3.PasswordMessage{},
	}
	return types[kind]
}

func backendType(kind byte, body []byte) pgproto3.Message {
	if kind == 'R' {
		return authenticationType(body)
	}
	types := map[byte]pgproto3.Message{
		'1': &pgproto3.ParseComplete{}, '2': &pgproto3.BindComplete{}, '3': &pgproto3.CloseComplete{},
		'A': &pgproto3.NotificationResponse{}, 'C': &pgproto3.CommandComplete{}, 'D': &pgproto3.DataRow{},
		'E': &pgproto3.ErrorResponse{}, 'G': &pgproto3.CopyInResponse{}, 'H': &pgproto3.CopyOutResponse{},
		'I': &pgproto3.EmptyQueryResponse{}, 'K': &pgproto3.BackendKeyData{}, 'N': &pgproto3.NoticeResponse{},
		'S': &pgproto3.ParameterStatus{}, 'T': &pgproto3.RowDescription{}, 'V': &pgproto3.FunctionCallResponse{},
		'W': &pgproto3.CopyBothResponse{}, 'Z': &pgproto3.ReadyForQuery{}, 'c': &pgproto3.CopyDone{},
		'd': &pgproto3.CopyData{}, 'n': &pgproto3.NoData{}, 's': &pgproto3.PortalSuspended{},
		't': &pgproto3.ParameterDescription{}, 'v': &pgproto3.NegotiateProtocolVersion{},
	}
	return types[kind]
}

func authenticationType(body []byte) pgproto3.Message {
	if len(body) < authCodeLen {
		return nil
	}
	types := map[uint32]pgproto3.Message{
		pgproto3.AuthTypeOk: &pgproto3.AuthenticationOk{}, pgproto3.AuthTypeCleartextPassword: &pgproto3.AuthenticationCleartextPassword{},
		pgproto3.AuthTypeMD5Password: &pgproto3.AuthenticationMD5Password{}, pgproto3.AuthTypeSASL: &pgproto3.AuthenticationSASL{},
		pgproto3.AuthTypeSASLContinue: &pgproto3.AuthenticationSASLContinue{}, pgproto3.AuthTypeSASLFinal: &pgproto3.AuthenticationSASLFinal{},
	}
	return types[binary.BigEndian.Uint32(body)]
}
