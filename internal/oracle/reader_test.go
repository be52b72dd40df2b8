package oracle

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// reader is one client after the other. Each has a number that nobody else ever has, and looks at every byte of its rows: they bear
// that number, and one that grows.
type reader struct {
	*world
	dice           *rand.Rand
	lives, cancels *atomic.Int64

	number  int64
	peer    *wiretest.Peer
	key     *pgproto3.BackendKeyData
	in      *bufio.Reader
	unit    *wiretest.Dialogue // what it has said last
	named   bool               // there is a statement with a name
	unnamed bool               // and one without
	row     []byte

	next, end int64 // the number of the next row, and that behind the last one of this unit
	mayFail   bool  // the unit was cancelled
}

// load is the messages of a unit of work.
type load struct {
	messages []message
	owed     int   // ReadyForQuery
	rows     int64 // that come back
	writes   bool  // it is not cancelled: what is copied in has to be in its transaction
}

func (l *load) add(owed int, rows int64, m ...message) {
	l.messages = append(l.messages, m...)
	l.owed += owed
	l.rows += rows
}

// turn does one unit of work, for a new client if need be.
func (r *reader) turn() (rows int64, err error) {
	if r.peer == nil {
		if err := r.enter(); err != nil {
			return 0, err
		}
	}
	l := r.load()
	r.unit = r.peer.Record()
	r.end, r.mayFail = r.next+l.rows, false
	if err := r.peer.Send(l.messages...); err != nil {
		return 0, err
	}
	switch fate := r.dice.IntN(40); {
	case fate == 0:
		return 0, r.die()
	case fate <= 2 && !l.writes:
		err = r.cancelled(l.owed)
	default:
		err = r.read(l.owed)
	}
	if err != nil {
		return 0, err
	}
	if r.next != r.end && !r.mayFail {
		return 0, fmt.Errorf("the next row is %d, not %d", r.next, r.end)
	}
	r.next = r.end
	if r.dice.IntN(30) == 0 {
		r.leave()
	}
	return l.rows, nil
}

// enter logs a new client in.
func (r *reader) enter() error {
	const buffer = 128 << 10
	p, err := wiretest.Dial(context.Background(), r.router)
	if err != nil {
		return err
	}
	r.number, r.peer, r.next = r.lives.Add(1), p, r.dice.Int64N(1000)
	r.named, r.unnamed = false, false
	if err := p.Send(startup(transaction, nil)); err != nil {
		return err
	}
	all, err := p.Until('Z')
	for _, m := range all {
		if key, ok := m.Value.(*pgproto3.BackendKeyData); ok {
			r.key = &pgproto3.BackendKeyData{ProcessID: key.ProcessID, SecretKey: slices.Clone(key.SecretKey)}
		}
	}
	r.in = bufio.NewReaderSize(p.Conn, buffer)
	return err
}

// leave ends a client that has nothing under way: with a good-bye, or without a word.
func (r *reader) leave() {
	if r.peer == nil {
		return
	}
	if r.dice.IntN(2) == 0 {
		_ = r.peer.Send(terminate())
	}
	r.peer.Conn.Close()
	r.peer = nil
}

// die ends a client in the middle of its unit.
func (r *reader) die() error {
	if err := r.peer.Conn.SetReadDeadline(time.Now().Add(streamLimit)); err != nil {
		return err
	}
	for range r.dice.IntN(50) {
		if _, _, err := r.message(); err != nil {
			return err
		}
		if r.in.Buffered() == 0 {
			break
		}
	}
	r.peer.Abort()
	r.peer = nil
	return nil
}

// cancelled sends a cancel request while a unit is under way, and waits until it has been carried out: behind that, nothing of the
// client's may be cancelled.
func (r *reader) cancelled(owed int) error {
	r.mayFail = true
	r.cancels.Add(1)
	p, err := wiretest.Dial(context.Background(), r.router)
	if err != nil {
		return err
	}
	defer p.Conn.Close()
	if err := p.Send(&pgproto3.CancelRequest{ProcessID: r.key.ProcessID, SecretKey: r.key.SecretKey}); err != nil {
		return err
	}
	if err := r.read(owed); err != nil {
		return err
	}
	r.named, r.unnamed = false, false // who knows
	return p.ExpectEnd()
}

// load makes a unit of work: some batches of rows, in a transaction or each for itself, sent all at once.
func (r *reader) load() *load {
	l := &load{}
	if r.dice.IntN(10) == 0 {
		r.copyIn(l, r.next, r.next+r.dice.Int64N(100))
		return l
	}
	inBlock := r.dice.IntN(2) == 0
	if inBlock {
		r.ask(l, 0, "begin")
	}
	for range 1 + r.dice.IntN(3) {
		from := r.next + l.rows
		ways := []func(l *load, from, to int64){r.simple, r.extended, r.portions, r.again, r.copyOut}
		if r.number%4 == 0 {
			ways = append(ways, r.byName, r.byName)
		}
		one(r.dice, ways)(l, from, from+r.dice.Int64N(one(r.dice, []int64{10, 300, 5000})))
	}
	if inBlock {
		r.ask(l, 0, "commit")
	}
	return l
}

// ask adds a simple query. It takes the unnamed statement away.
func (r *reader) ask(l *load, rows int64, sql string) {
	r.unnamed = false
	l.add(1, rows, query(sql))
}

// The ways in which rows are read, from one number to another.

func (r *reader) select1(from, to string) string {
	return fmt.Sprintf("select %d, n from generate_series(%s::bigint, %s) n", r.number, from, to)
}

func (r *reader) between(from, to int64) string {
	return r.select1(strconv.FormatInt(from, 10), strconv.FormatInt(to, 10))
}

func (r *reader) simple(l *load, from, to int64) { r.ask(l, to-from+1, r.between(from, to)) }

func (r *reader) extended(l *load, from, to int64) {
	r.unnamed = false
	l.add(1, to-from+1, append(batch(r.between(from, to)), closeStatement(""), sync())...)
}

func (r *reader) portions(l *load, from, to int64) {
	r.unnamed = false
	l.add(1, to-from+1, parse("", r.between(from, to)), bind("", ""), execute("", 3), execute("", 2), execute("", 0), closeStatement(""), sync())
}

// again uses a statement without a name that may be from an earlier unit.
func (r *reader) again(l *load, from, to int64) {
	if !r.unnamed {
		l.add(1, 0, parse("", r.select1("$1", "$2")), sync())
	}
	r.unnamed = true
	r.bound(l, "", from, to)
}

// byName does the same with a name, which other clients have given to statements of theirs.
func (r *reader) byName(l *load, from, to int64) {
	if !r.named {
		l.add(1, 0, closeStatement("s"), parse("s", r.select1("$1", "$2")), sync())
	}
	r.named = true
	r.bound(l, "s", from, to)
}

func (r *reader) bound(l *load, name string, from, to int64) {
	l.add(1, to-from+1, bind("", name, strconv.FormatInt(from, 10), strconv.FormatInt(to, 10)), execute("", 0), sync())
}

func (r *reader) copyOut(l *load, from, to int64) {
	r.ask(l, to-from+1, "copy ("+r.between(from, to)+") to stdout")
}

// copyIn copies rows in and reads them back, in a block that is rolled back.
func (r *reader) copyIn(l *load, from, to int64) {
	l.writes = true
	var lines strings.Builder
	for n := from; n <= to; n++ {
		fmt.Fprintf(&lines, "%d\t%d\n", r.number, n)
	}
	r.ask(l, 0, "begin")
	l.add(1, 0, query("copy incoming from stdin"), data(lines.String()), copyDone())
	r.ask(l, to-from+1, "select client, n from incoming order by n")
	r.ask(l, 0, "rollback")
}

// message is the kind and the body of the next one, good until the one behind it is read.
func (r *reader) message() (kind byte, body []byte, err error) {
	const header = 5
	head, err := r.in.Peek(header)
	if err != nil {
		return 0, nil, err
	}
	kind, length := head[0], 1+int(binary.BigEndian.Uint32(head[1:]))
	whole, err := r.in.Peek(length)
	if err != nil && err != io.EOF {
		return 0, nil, err
	}
	_, err = r.in.Discard(length)
	return kind, whole[header:], err
}

// read looks at everything up to the last of so many ReadyForQuery.
func (r *reader) read(owed int) error {
	if err := r.peer.Conn.SetReadDeadline(time.Now().Add(streamLimit)); err != nil {
		return err
	}
	for owed > 0 {
		kind, body, err := r.message()
		if err != nil {
			return err
		}
		switch kind {
		case 'D', 'd':
			err = r.look(kind, body)
		case 'E':
			err = r.told(body)
		case 'Z':
			owed--
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// told takes an error: behind a cancel request that, and what comes of it in the same unit, a failed transaction or a statement that
// was not parsed.
func (r *reader) told(body []byte) error {
	isCode := func(code string) bool { return bytes.Contains(body, []byte("\x00C"+code+"\x00")) }
	if r.mayFail && slices.ContainsFunc([]string{"57014", "25P02", "26000"}, isCode) {
		return nil
	}
	return fmt.Errorf("is told %q", body)
}

// look compares a row with the one that is to come. Behind a cancel request some may be left out.
func (r *reader) look(kind byte, body []byte) error {
	want := r.want(kind, r.next)
	if bytes.Equal(body, want) {
		r.next++
		return nil
	}
	if r.mayFail {
		text := bytes.TrimSuffix(body, []byte("\n"))
		digits := bytes.LastIndexFunc(text, func(c rune) bool { return c < '0' || c > '9' }) + 1
		n, err := strconv.ParseInt(string(text[digits:]), 10, 64)
		if err == nil && n > r.next && n < r.end && bytes.Equal(body, r.want(kind, n)) {
			r.next = n + 1
			return nil
		}
	}
	return fmt.Errorf("reads %q instead of %q", body, r.want(kind, r.next))
}

// want is the body of a row: of a DataRow, or of CopyData.
func (r *reader) want(kind byte, n int64) []byte {
	b := r.row[:0]
	if kind == 'd' {
		b = append(strconv.AppendInt(b, r.number, 10), '\t')
		b = append(strconv.AppendInt(b, n, 10), '\n')
	} else {
		b = append(b, 0, 2)
		b = appendColumn(appendColumn(b, r.number), n)
	}
	r.row = b
	return b
}

func appendColumn(b []byte, n int64) []byte {
	const lengthWord = 4
	b = append(b, 0, 0, 0, 0)
	at := len(b)
	b = strconv.AppendInt(b, n, 10)
	binary.BigEndian.PutUint32(b[at-lengthWord:], uint32(len(b)-at))
	return b
}
