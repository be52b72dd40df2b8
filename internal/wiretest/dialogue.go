package wiretest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Dialogue is what a client has said and heard on one connection, in a form that can be compared with that of another server.
// What differs from server to server and from run to run is left out: process ids, cancel keys, the numbers of tables that users have
// made, and where in PostgreSQL's source an error was raised.
type Dialogue struct {
	lines  []remark
	tables tables
}

// remark is one message of a dialogue.
type remark struct {
	text  string // for people
	exact string // compared
}

// Converse plays a client's script and hears everything up to the end of the connection, which it asks for with Terminate
// when the script is over and the connection is not. Every wait is bounded by the peer's limit.
func (p *Peer) Converse(steps ...Step) *Dialogue {
	d := p.Record()
	err := p.Play(steps...)
	if err == nil {
		err = p.Send(&pgproto3.Terminate{})
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		err = hearEnd(p)
	}
	d.end(err)
	return d
}

// Record begins a dialogue that gets all that the peer says and hears from now on, up to the next call.
func (p *Peer) Record() *Dialogue {
	p.dialogue = &Dialogue{}
	return p.dialogue
}

func (d *Dialogue) end(err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		d.say("(nothing more comes)")
	case errors.Is(err, io.ErrUnexpectedEOF):
		d.say("(end in the middle of a message)")
	default:
		d.say("(end)")
	}
}

// say adds a line that is compared as it is shown.
func (d *Dialogue) say(text string) {
	if d != nil {
		d.lines = append(d.lines, remark{text: text, exact: text})
	}
}

// heard adds a message. Parameters that are reported one behind the other are put into their alphabetical order: that of PostgreSQL 16
// and newer depends on what the server has been through.
func (d *Dialogue) heard(m Message) {
	if d == nil {
		return
	}
	line, i := remark{text: received + m.Text, exact: d.exact(m)}, len(d.lines)
	for m.Kind == 'S' && i > 0 && strings.HasPrefix(d.lines[i-1].exact, "S") && d.lines[i-1].exact > line.exact {
		i--
	}
	d.lines = slices.Insert(d.lines, i, line)
}

// Lines returns what a trace would show of the dialogue.
func (d *Dialogue) Lines() []string {
	all := make([]string, len(d.lines))
	for i, l := range d.lines {
		all[i] = l.text
	}
	return all
}

// Hung reports whether the other side has left the client waiting.
func (d *Dialogue) Hung() bool {
	return len(d.lines) > 0 && d.lines[len(d.lines)-1].text == "(nothing more comes)"
}

// Same reports whether two dialogues are the same, message by message.
func (d *Dialogue) Same(other *Dialogue) bool {
	return len(d.lines) == len(other.lines) && d.common(other) == len(d.lines)
}

// Without returns the dialogue without the lines that read like that. A pattern that ends in "…" is a beginning.
func (d *Dialogue) Without(pattern string) *Dialogue {
	return &Dialogue{lines: slices.DeleteFunc(slices.Clone(d.lines), func(l remark) bool { return matches(pattern, l.text) })}
}

// common counts the lines that are the same from the beginning.
func (d *Dialogue) common(other *Dialogue) int {
	n := 0
	for n < len(d.lines) && n < len(other.lines) && d.lines[n].exact == other.lines[n].exact {
		n++
	}
	return n
}

// Beside prints two dialogues beside one another, below their names. A line that differs is marked with an exclamation mark; one that is
// too long for that stands whole below.
func (d *Dialogue) Beside(name string, other *Dialogue, otherName string) string {
	const width = 78
	from := d.common(other)
	tail := 0
	for tail < min(len(d.lines), len(other.lines))-from && d.lines[len(d.lines)-1-tail].exact == other.lines[len(other.lines)-1-tail].exact {
		tail++
	}
	var b, whole strings.Builder
	row := func(mark, left, right string) {
		fmt.Fprintf(&b, "%s %s| %s\n", mark, padded(left, width), padded(right, width))
	}
	row(" ", name, otherName)
	for _, l := range d.lines[:from] {
		row(" ", l.text, l.text)
	}
	left, right := d.lines[from:len(d.lines)-tail], other.lines[from:len(other.lines)-tail]
	for i := range max(len(left), len(right)) {
		l, r := at(left, i), at(right, i)
		if l.text == r.text && l.exact != r.exact {
			l.text, r.text = strconv.Quote(l.exact), strconv.Quote(r.exact)
		}
		row("!", l.text, r.text)
		if max(utf8.RuneCountInString(l.text), utf8.RuneCountInString(r.text)) > width {
			fmt.Fprintf(&whole, "%s: %s\n%s: %s\n", name, l.text, otherName, r.text)
		}
	}
	for _, l := range d.lines[len(d.lines)-tail:] {
		row(" ", l.text, l.text)
	}
	return b.String() + whole.String()
}

func at(lines []remark, i int) remark {
	if i < len(lines) {
		return lines[i]
	}
	return remark{}
}

// padded makes a text that wide, by spaces or by leaving out its middle.
func padded(s string, width int) string {
	if n := utf8.RuneCountInString(s); n <= width {
		return s + strings.Repeat(" ", width-n)
	}
	runes := []rune(s)
	half := width / 2
	return string(runes[:half]) + "…" + string(runes[len(runes)-(width-half-1):])
}

// exact is what of a server's message is compared.
func (d *Dialogue) exact(m Message) string {
	body := string(m.Body())
	switch v := m.Value.(type) {
	case *pgproto3.RowDescription:
		body = d.tables.renumbered(m.Body(), v)
	case *pgproto3.BackendKeyData:
		body = ""
	case *pgproto3.NotificationResponse:
		body = v.Channel + "\x00" + v.Payload
	case *pgproto3.ErrorResponse, *pgproto3.NoticeResponse:
		body = withoutSource(body)
	}
	return string(m.Kind) + body
}

// withoutSource leaves the fields of file, line and routine out of an error.
func withoutSource(body string) string {
	var kept strings.Builder
	for field := range strings.SplitSeq(body, "\x00") {
		if field == "" || strings.ContainsRune("FLR", rune(field[0])) {
			continue
		}
		kept.WriteString(field + "\x00")
	}
	return kept.String()
}

// Ready is a step that hears everything up to the n-th ReadyForQuery.
func Ready(n int) Step {
	return func(p *Peer) error {
		for range n {
			if err := hearUntil(p, 'Z'); err != nil {
				return err
			}
		}
		return nil
	}
}

// HearUntil is a step that hears everything up to and including a message of that kind.
func HearUntil(kind byte) Step {
	return func(p *Peer) error { return hearUntil(p, kind) }
}

func hearUntil(p *Peer, kind byte) error {
	for {
		m, err := p.Next()
		if err != nil || m.Kind == kind {
			return err
		}
	}
}

// HearByte is a step that hears the one byte that answers SSLRequest and GSSENCRequest.
func HearByte() Step {
	return func(p *Peer) error {
		b := make([]byte, 1)
		if err := p.Conn.SetReadDeadline(p.deadline()); err != nil {
			return err
		}
		if _, err := io.ReadFull(p.Conn, b); err != nil {
			return err
		}
		p.dialogue.say(received + strconv.Quote(string(b)))
		return nil
	}
}

// HearBytes is a step that hears up to the end of the connection what need not be messages: what is said to clients of
// protocol 2.
func HearBytes() Step {
	return func(p *Peer) error {
		if err := p.Conn.SetReadDeadline(p.deadline()); err != nil {
			return err
		}
		b, err := io.ReadAll(p.Conn)
		p.dialogue.say(received + strconv.Quote(string(b)))
		if err == nil {
			err = io.EOF
		}
		return err
	}
}

// HearEnd is a step that hears everything up to the end of the connection.
func HearEnd() Step { return hearEnd }

func hearEnd(p *Peer) error {
	for {
		if _, err := p.Next(); err != nil {
			return err
		}
	}
}

// CloseWriting is a step that says that the client sends no more, and goes on hearing.
func CloseWriting() Step {
	return func(p *Peer) error { p.CloseWrite(); return nil }
}

// Mark is a step at which the peer's owner may do something that is not in the script.
func Mark() Step {
	return func(p *Peer) error {
		if p.Mark == nil {
			return nil
		}
		return p.Mark()
	}
}
