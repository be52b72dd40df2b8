package wiretest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// DefaultLimit bounds each wait of a peer, so that a test fails with a sentence instead of hanging.
const DefaultLimit = 10 * time.Second

// Peer is one end of a connection in the hands of a test: it sends what it is told and reads message by message, never
// ahead. It is used by one goroutine at a time.
type Peer struct {
	Conn  net.Conn
	Limit time.Duration // for each wait; DefaultLimit when 0
	Trace *Trace        // may be nil
	side  Side
}

// NewPeer takes over conn as that side of it.
func NewPeer(conn net.Conn, side Side) *Peer { return &Peer{Conn: conn, side: side} }

// Dial connects a client to "host:port", or to a unix socket's path.
func Dial(ctx context.Context, address string) (*Peer, error) {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return NewPeer(conn, Frontend), nil
}

func (p *Peer) other() Side {
	if p.side == Frontend {
		return Backend
	}
	return Frontend
}

func (p *Peer) deadline() time.Time {
	if p.Limit == 0 {
		return time.Now().Add(DefaultLimit)
	}
	return time.Now().Add(p.Limit)
}

// Send sends messages in one write.
func (p *Peer) Send(messages ...pgproto3.Message) error {
	var out []byte
	for _, m := range messages {
		from := len(out)
		var err error
		if out, err = m.Encode(out); err != nil {
			return fmt.Errorf("encode %T: %w", m, err)
		}
		p.Trace.add(p.side, format(Message{Raw: out[from:], Value: m}))
	}
	return p.SendBytes(out)
}

// SendBytes sends bytes as they are. They do not appear in the trace.
func (p *Peer) SendBytes(b []byte) error {
	if err := p.Conn.SetWriteDeadline(p.deadline()); err != nil {
		return err
	}
	if _, err := p.Conn.Write(b); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// Query sends a simple query.
func (p *Peer) Query(sql string) error { return p.Send(&pgproto3.Query{String: sql}) }

// Next reads one message. io.EOF says that the other side ended the connection between two messages.
func (p *Peer) Next() (Message, error) {
	return p.next(func(r io.Reader) (Message, error) { return readMessage(r, p.other()) })
}

// NextStartup reads one message of the start-up.
func (p *Peer) NextStartup() (Message, error) { return p.next(readStartup) }

func (p *Peer) next(read func(io.Reader) (Message, error)) (Message, error) {
	if err := p.Conn.SetReadDeadline(p.deadline()); err != nil {
		return Message{}, err
	}
	m, err := read(p.Conn)
	if err != nil {
		return Message{}, err
	}
	p.Trace.add(p.other(), m.Text)
	return m, nil
}

// Expect reads one message per pattern and compares its line of the trace. A pattern that ends in "…" is a beginning.
func (p *Peer) Expect(patterns ...string) error {
	for _, want := range patterns {
		m, err := p.Next()
		if err != nil {
			return fmt.Errorf("expected %s: %w", want, err)
		}
		if !matches(want, m.Text) {
			return fmt.Errorf("expected %s, got %s", want, m.Text)
		}
	}
	return nil
}

func matches(pattern, text string) bool {
	if begin, ok := strings.CutSuffix(pattern, "…"); ok {
		return strings.HasPrefix(text, begin)
	}
	return pattern == text
}

// Until reads messages up to and including the first of that kind.
func (p *Peer) Until(kind byte) ([]Message, error) {
	var all []Message
	for {
		m, err := p.Next()
		if err != nil {
			return all, fmt.Errorf("waiting for %q after %d messages: %w", kind, len(all), err)
		}
		all = append(all, m)
		if m.Kind == kind {
			return all, nil
		}
	}
}

// ExpectEnd waits until the other side has ended the connection, with FIN or RST, and fails when a message comes.
func (p *Peer) ExpectEnd() error {
	m, err := p.Next()
	switch {
	case err == nil:
		return fmt.Errorf("expected the end of the connection, got %s", m.Text)
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		p.Trace.Note("end")
		return nil
	}
	return fmt.Errorf("expected the end of the connection: %w", err)
}

// Close ends the connection in the usual way, without a Terminate.
func (p *Peer) Close() error { return p.Conn.Close() }

// CloseWrite sends FIN and goes on reading.
func (p *Peer) CloseWrite() { closeWrite(p.Conn) }

// Abort ends the connection with RST.
func (p *Peer) Abort() { abort(p.Conn) }
