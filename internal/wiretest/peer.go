package wiretest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// DefaultLimit bounds each wait of a peer, so that a test fails with a sentence instead of hanging.
const DefaultLimit = time.Minute

// Peer is one end of a connection in the hands of a test: it sends what it is told and reads message by message, never
// ahead. It is used by one goroutine at a time.
type Peer struct {
	Conn  net.Conn
	Limit time.Duration // for each wait; DefaultLimit when 0
	Trace *Trace        // may be nil
	Name  string        // in the trace; "client" or "server" when ""
	Chunk int           // bytes of a write: 1 makes the other side see single bytes. 0: as many as there are
	Mark  func() error  // what a step Mark does; may be nil
	side  Side

	dialogue *Dialogue // what Record has begun; may be nil
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

// note adds a line to the trace: what the peer has sent, or received.
func (p *Peer) note(arrow, text string) {
	name, indent := p.Name, ""
	if p.side == Backend {
		indent = "    "
	}
	switch {
	case name != "":
	case p.side == Backend:
		name = "server"
	default:
		name = "client"
	}
	p.Trace.Note(indent + name + arrow + text)
	if arrow == sent {
		p.dialogue.say(sent + text)
	}
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
		p.note(sent, format(Message{Raw: out[from:], Value: m}))
	}
	return p.SendBytes(out)
}

// SendPart sends some bytes of a message, and what they are for the trace.
func (p *Peer) SendPart(b []byte, what string) error {
	p.note(sent, what)
	return p.SendBytes(b)
}

// SendBytes sends bytes as they are. They do not appear in the trace.
func (p *Peer) SendBytes(b []byte) error {
	if err := p.Conn.SetWriteDeadline(p.deadline()); err != nil {
		return err
	}
	chunk := p.Chunk
	if chunk == 0 {
		chunk = max(1, len(b))
	}
	for piece := range slices.Chunk(b, chunk) {
		if _, err := p.Conn.Write(piece); err != nil {
			return fmt.Errorf("send: %w", err)
		}
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
	p.note(received, m.Text)
	p.dialogue.heard(m)
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
		p.note(received, endOfConnection)
		return nil
	}
	return fmt.Errorf("expected the end of the connection: %w", err)
}

// What a trace shows of the ends of connections.
const (
	endOfConnection = "end"
	endOfWriting    = "end, but it goes on reading"
	reset           = "reset"
)

// Close ends the connection in the usual way, without a Terminate.
func (p *Peer) Close() error {
	p.note(sent, endOfConnection)
	return p.Conn.Close()
}

// CloseWrite sends FIN and goes on reading.
func (p *Peer) CloseWrite() {
	p.note(sent, endOfWriting)
	closeWrite(p.Conn)
}

// Abort ends the connection with RST.
func (p *Peer) Abort() {
	p.note(sent, reset)
	abort(p.Conn)
}

// Pending returns how many bytes are here that have not been read. What was sent in one piece with what has been read is
// among them; what was sent later may be still on its way.
func (p *Peer) Pending() (n int, err error) {
	conn, ok := p.Conn.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("pending: %T cannot tell", p.Conn)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	buffer := make([]byte, readSize)
	looked := raw.Control(func(fd uintptr) {
		n, _, err = syscall.Recvfrom(int(fd), buffer, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	if errors.Is(err, syscall.EAGAIN) {
		n, err = 0, nil
	}
	return n, errors.Join(looked, err)
}
