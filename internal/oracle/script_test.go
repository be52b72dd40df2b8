package oracle

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// script is what a client says, and for what it waits. Everything that it hears is compared.
type script struct {
	name       string            // a sentence
	parameters map[string]string // of the start-up packet, beside user and database
	bare       bool              // the script begins with the connection, not behind the login
	large      bool              // too long for writes of single bytes
	steps      []wiretest.Step
}

// message is what a client sends in one piece.
type message = pgproto3.Message

// step is one thing that a client says, or for what it waits.
type step = wiretest.Step

// scripts are all of them, for a client of that database.
func scripts(database string) []script {
	return slices.Concat(simpleScripts(), transactionScripts(), statementScripts(), preparationScripts(), portalScripts(), functionScripts(), copyScripts(),
		settingScripts(), parameterScripts(), notifyScripts(), largeScripts(), endScripts(), startScripts(database))
}

// do makes steps of messages, bytes and steps. Messages and bytes that stand beside one another are sent in one write.
func do(parts ...any) []wiretest.Step {
	var steps []wiretest.Step
	var messages []message
	flush := func() {
		if len(messages) > 0 {
			steps = append(steps, wiretest.Send(messages...))
			messages = nil
		}
	}
	for _, part := range parts {
		switch v := part.(type) {
		case message:
			messages = append(messages, v)
		case []message:
			messages = append(messages, v...)
		case wiretest.Step:
			flush()
			steps = append(steps, v)
		default:
			panic("neither a message nor a step")
		}
	}
	flush()
	return steps
}

// What a script waits for.
func ready(n int) wiretest.Step        { return wiretest.Ready(n) }
func hear(kind byte) wiretest.Step     { return wiretest.HearUntil(kind) }
func theEnd() wiretest.Step            { return wiretest.HearEnd() }
func writesNoMore() wiretest.Step      { return wiretest.CloseWriting() }
func elsewhere() wiretest.Step         { return wiretest.Mark() } // between two units of work: the next one gets another server
func hearByte() wiretest.Step          { return wiretest.HearByte() }
func hearBytes() wiretest.Step         { return wiretest.HearBytes() }
func query(sql string) *pgproto3.Query { return &pgproto3.Query{String: sql} }

// The messages of the extended protocol.

func parse(name, sql string, types ...uint32) *pgproto3.Parse {
	return &pgproto3.Parse{Name: name, Query: sql, ParameterOIDs: types}
}

func bind(portal, statement string, values ...string) *pgproto3.Bind {
	b := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement}
	for _, v := range values {
		b.Parameters = append(b.Parameters, []byte(v))
	}
	return b
}

func execute(portal string, rows uint32) *pgproto3.Execute {
	return &pgproto3.Execute{Portal: portal, MaxRows: rows}
}

func describeStatement(name string) *pgproto3.Describe {
	return &pgproto3.Describe{ObjectType: 'S', Name: name}
}

func describePortal(name string) *pgproto3.Describe {
	return &pgproto3.Describe{ObjectType: 'P', Name: name}
}

func closeStatement(name string) *pgproto3.Close {
	return &pgproto3.Close{ObjectType: 'S', Name: name}
}
func closePortal(name string) *pgproto3.Close { return &pgproto3.Close{ObjectType: 'P', Name: name} }
func sync() *pgproto3.Sync                    { return &pgproto3.Sync{} }
func flush() *pgproto3.Flush                  { return &pgproto3.Flush{} }
func terminate() *pgproto3.Terminate          { return &pgproto3.Terminate{} }

// batch is a statement in the unnamed portal, without its Sync.
func batch(sql string, values ...string) []message {
	return []message{parse("", sql), bind("", "", values...), execute("", 0)}
}

// COPY.
func data(s string) *pgproto3.CopyData       { return &pgproto3.CopyData{Data: []byte(s)} }
func copyDone() *pgproto3.CopyDone           { return &pgproto3.CopyDone{} }
func copyFail(why string) *pgproto3.CopyFail { return &pgproto3.CopyFail{Message: why} }

// raw is bytes in the place of a message.
type raw string

func (raw) Frontend() {}

// Decode implements pgproto3.Message.
func (raw) Decode([]byte) error { panic("raw bytes are only sent") }

// Encode implements pgproto3.Message.
func (r raw) Encode(dst []byte) ([]byte, error) { return append(dst, r...), nil }

// frame is a message of any kind with any body.
func frame(kind byte, body string) raw {
	b := binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))
	return raw(string(b) + body)
}

// cut is the beginning of a message.
func cut(m message, length int) raw {
	b, err := m.Encode(nil)
	if err != nil {
		panic(err)
	}
	return raw(b[:length])
}

// startupPacket is a start-up packet with any version; pairs are written as "name=value".
func startupPacket(major, minor uint16, pairs ...string) raw {
	var body strings.Builder
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		body.WriteString(name + "\x00" + value + "\x00")
	}
	return packet(major, minor, body.String()+"\x00")
}

// packet is a message of the start-up with any body.
func packet(major, minor uint16, body string) raw {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	b = binary.BigEndian.AppendUint16(b, major)
	b = binary.BigEndian.AppendUint16(b, minor)
	return raw(string(b) + body)
}

func times(n int, parts ...message) []message {
	var all []message
	for range n {
		all = append(all, parts...)
	}
	return all
}
