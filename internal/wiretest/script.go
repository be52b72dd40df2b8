package wiretest

import (
	"errors"
	"io"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Step is one thing a scripted peer does. A test's own function is a Step too.
type Step func(p *Peer) error

// Script makes a handler that does the same steps on each connection.
func Script(steps ...Step) Handler {
	return func(_ int, p *Peer) error { return p.Play(steps...) }
}

// Scripts makes a handler with a script per connection; the last one serves all further ones.
func Scripts(scripts ...[]Step) Handler {
	return func(n int, p *Peer) error { return p.Play(scripts[min(n, len(scripts)-1)]...) }
}

// Play does steps one after the other until one fails.
func (p *Peer) Play(steps ...Step) error {
	for i, step := range steps {
		if err := step(p); err != nil {
			return stepError{step: i + 1, err: err}
		}
	}
	return nil
}

type stepError struct {
	step int
	err  error
}

func (e stepError) Error() string { return "step " + strconv.Itoa(e.step) + ": " + e.err.Error() }
func (e stepError) Unwrap() error { return e.err }

// Expect is a step that reads messages and compares them.
func Expect(patterns ...string) Step {
	return func(p *Peer) error { return p.Expect(patterns...) }
}

// Send is a step that sends messages in one write.
func Send(messages ...pgproto3.Message) Step {
	return func(p *Peer) error { return p.Send(messages...) }
}

// SendBytes is a step that sends raw bytes.
func SendBytes(b []byte) Step {
	return func(p *Peer) error { return p.SendBytes(b) }
}

// Trust is a step that logs a client in without a password. Settings given replace the default ones of the same name.
func Trust(settings ...string) Step {
	return func(p *Peer) error {
		parameters := DefaultParameters()
		for i := 0; i+1 < len(settings); i += 2 {
			parameters[settings[i]] = settings[i+1]
		}
		_, err := p.AcceptTrust(parameters)
		return err
	}
}

// Drop is a step that ends the connection with RST.
func Drop() Step {
	return func(p *Peer) error { p.Abort(); return nil }
}

// ExpectEnd is a step that waits for the other side to end the connection.
func ExpectEnd() Step {
	return func(p *Peer) error { return p.ExpectEnd() }
}

// Wait is a step that waits until a channel is closed or gives a value, so that a test decides when its server goes on.
func Wait(gate <-chan struct{}) Step {
	return func(*Peer) error { <-gate; return nil }
}

// Answer is a step that gives each message to a function and sends what it returns, until the client says Terminate or
// ends the connection.
func Answer(answer func(m Message) []pgproto3.Message) Step {
	return func(p *Peer) error {
		for {
			m, err := p.Next()
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || m.Kind == 'X' {
				return nil
			}
			if err != nil {
				return err
			}
			if out := answer(m); len(out) > 0 {
				if err := p.Send(out...); err != nil {
					return err
				}
			}
		}
	}
}

// Row answers a simple query with one row of one text column.
func Row(column, value string) []pgproto3.Message {
	const textOID = 25
	return []pgproto3.Message{
		&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte(column), DataTypeOID: textOID, DataTypeSize: -1, TypeModifier: -1}}},
		&pgproto3.DataRow{Values: [][]byte{[]byte(value)}},
		&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")},
		&pgproto3.ReadyForQuery{TxStatus: 'I'},
	}
}

// Done answers a simple query without rows; status is the transaction status: I, T or E.
func Done(tag string, status byte) []pgproto3.Message {
	return []pgproto3.Message{&pgproto3.CommandComplete{CommandTag: []byte(tag)}, &pgproto3.ReadyForQuery{TxStatus: status}}
}

// Fatal is the message that goes before a server's closing of a connection.
func Fatal(code, message string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: message}
}
