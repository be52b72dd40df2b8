package oracle

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

var rowsWanted = flag.Int64("rows", 100_000, "how many rows are counted")

// TestNoRowReachesAStranger lets five clients share two servers and read rows that bear their number, in transactions and outside
// of them, by both protocols. Every row is looked at.
func TestNoRowReachesAStranger(t *testing.T) {
	const clients = 5
	w := newWorld(t)
	var all errgroup.Group
	var count atomic.Int64
	began := time.Now()
	for n := range clients {
		r := &reader{number: n, dice: rand.New(rand.NewPCG(1, uint64(n))), peer: login(t, w.router, transaction, nil)}
		r.in = bufio.NewReaderSize(r.peer.Conn, 128<<10)
		all.Go(func() error {
			for count.Load() < *rowsWanted {
				read, err := r.turn()
				if err != nil {
					return fmt.Errorf("client %d: %w", r.number, err)
				}
				count.Add(read)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows, none of them a stranger's, %.0f a second", count.Load(), float64(count.Load())/time.Since(began).Seconds())
	w.sound(t)
}

// reader is a client that looks at every byte of its rows, and at nothing else.
type reader struct {
	number int
	dice   *rand.Rand
	peer   *wiretest.Peer
	in     *bufio.Reader
	next   int64 // the number of its next row
	row    []byte
}

// turn reads one unit of work: some batches of rows.
func (r *reader) turn() (rows int64, err error) {
	var messages []message
	from, ready := r.next, 0
	batches := 1 + r.dice.IntN(3)
	inBlock := r.dice.IntN(2) == 0
	if inBlock {
		messages = append(messages, query("begin"))
		ready++
	}
	for range batches {
		first := from + rows
		size := int64(1 + r.dice.IntN(5000))
		sql := fmt.Sprintf("select %d, n from generate_series(%d::bigint, %d) n", r.number, first, first+size-1)
		if r.dice.IntN(2) == 0 {
			messages = append(messages, query(sql))
		} else {
			messages = append(messages, batchOf(sql)...)
		}
		rows += size
		ready++
	}
	if inBlock {
		messages = append(messages, query("commit"))
		ready++
	}
	if err := r.peer.Send(messages...); err != nil {
		return 0, err
	}
	if err := r.read(ready); err != nil {
		return 0, err
	}
	if r.next != from+rows {
		return 0, fmt.Errorf("read %d rows of %d", r.next-from, rows)
	}
	return rows, nil
}

// read looks at everything up to the last of so many ReadyForQuery.
func (r *reader) read(ready int) error {
	const header = 5
	if err := r.peer.Conn.SetReadDeadline(time.Now().Add(streamLimit)); err != nil {
		return err
	}
	for ready > 0 {
		head, err := r.in.Peek(header)
		if err != nil {
			return err
		}
		kind, length := head[0], 1+int(binary.BigEndian.Uint32(head[1:]))
		message, err := r.in.Peek(length)
		if err != nil && err != io.EOF {
			return err
		}
		switch kind {
		case 'D':
			if want := r.want(); !bytes.Equal(message[header:], want) {
				return fmt.Errorf("reads %q instead of %q", message[header:], want)
			}
		case 'E':
			return fmt.Errorf("is told %q", message)
		case 'Z':
			ready--
		}
		if _, err := r.in.Discard(length); err != nil {
			return err
		}
	}
	return nil
}

// want is the body of the next row.
func (r *reader) want() []byte {
	const lengthWord = 4
	b := append(r.row[:0], 0, 2, 0, 0, 0, 1, byte('0'+r.number), 0, 0, 0, 0)
	at := len(b)
	b = strconv.AppendInt(b, r.next, 10)
	binary.BigEndian.PutUint32(b[at-lengthWord:], uint32(len(b)-at))
	r.next++
	r.row = b
	return b
}
