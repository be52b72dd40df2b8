//go:build linux

package reactor

import (
	"bytes"
	"io"
	"testing"

	"pgregory.net/rapid"
)

func TestSixtyFourMegabytesPassASlowReaderWithBoundedMemory(t *testing.T) {
	for _, scratch := range []int{minScratchBytes, DefaultScratchBytes} {
		r := newReactorWith(t, Config{Loops: 1, ScratchBytes: scratch})
		l := r.Loops()[0]
		a, left := tcpPair(t)
		b, right := tcpPair(t)
		relay := newRelay(t, l, left, right)
		size := int64(64 << 20)
		if scratch == minScratchBytes {
			size = 8 << 20
		}
		sent := transfer(a, size, 100_000)
		await(t, relay.blocked, "back-pressure") // the reader has not begun
		buf := make([]byte, 3000)
		check := &pattern{}
		for read := int64(0); read < size/8; { // slowly first: every piece lets the sender go on a little
			n, err := b.Read(buf)
			if err == nil {
				_, err = check.Write(buf[:n])
			}
			if err != nil {
				t.Fatal(err)
			}
			read += int64(n)
		}
		n, err := io.Copy(struct{ io.Writer }{check}, b)
		if err != nil || check.at != uint64(size) {
			t.Fatalf("copied %d, in all %d of %d, %v", n, check.at, size, err)
		}
		if err := await(t, sent, "the sender"); err != nil {
			t.Fatal(err)
		}
		on(t, l, func() {
			if relay.mostUnsent > scratch {
				t.Errorf("up to %d bytes were held, more than one receive of %d", relay.mostUnsent, scratch)
			}
			if l.chunks.count > maxFreeChunks {
				t.Errorf("%d free chunks are kept", l.chunks.count)
			}
		})
	}
}

func TestSeveralSendsOfACallbackLeaveInOneCall(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	c := attach(t, l, server, newRecorder())
	before := exactStats(t, l).Sends
	on(t, l, func() {
		c.Send([]byte("one "))
		c.Send(nil)
		c.Send([]byte("two "))
		c.Send([]byte("three"))
	})
	wantRead(t, client, "one two three")
	if n := exactStats(t, l).Sends - before; n != 1 {
		t.Errorf("%d sends, want 1", n)
	}
}

func TestAdjacentPiecesAreSentAsOne(t *testing.T) {
	b := []byte("frame one|frame two")
	if !follows(b[:10], b[10:]) {
		t.Error("adjacent pieces are not recognised")
	}
	if follows(b[:9], b[10:]) || follows(b[:10:10], b[10:]) || follows(b[10:], b[:10]) {
		t.Error("pieces that are not adjacent were joined")
	}
	end := make([]byte, 4)
	if follows(end, []byte("x")) || follows(end[:2], append([]byte(nil), end[2:]...)) {
		t.Error("pieces of different arrays were joined")
	}
}

func TestHundredsOfPiecesKeepTheirOrder(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	c := attach(t, l, server, newRecorder())
	const pieces, size = 1000, 777
	all := make([]byte, pieces*size)
	_, _ = (&pattern{}).Read(all)
	on(t, l, func() {
		for i := range pieces {
			c.Send(bytes.Clone(all[i*size : (i+1)*size]))
		}
		c.CloseWrite()
		c.Send([]byte("dropped after CloseWrite"))
	})
	if err := receiveAll(client, pieces*size, 10000); err != nil {
		t.Fatal(err)
	}
}

func TestBlockedAndDrainedComeInPairsAndFinFollowsTheBacklog(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	h := newRecorder()
	c := attach(t, l, server, h)
	const size = 16 << 20
	b := make([]byte, size)
	_, _ = (&pattern{}).Read(b)
	on(t, l, func() {
		c.Send(b[:size/2])
		if c.Unsent() != size/2 {
			t.Errorf("Unsent is %d, want %d", c.Unsent(), size/2)
		}
	})
	h.want(t, "blocked")
	on(t, l, func() {
		if got := c.Sent() + uint64(c.Unsent()); got != size/2 {
			t.Errorf("sent and unsent are %d, want %d", got, size/2)
		}
		c.Send(b[size/2:]) // behind the backlog
		c.CloseWrite()
	})
	clear(b[:size/2]) // what was borrowed may be reused: the rest is a copy
	if err := receiveAll(client, size, 50000); err != nil {
		t.Fatal(err)
	}
	h.want(t, "drained")
	h.wantNothing(t, l)
	on(t, l, func() {
		if c.Sent() != size || c.Unsent() != 0 {
			t.Errorf("Sent is %d, Unsent %d", c.Sent(), c.Unsent())
		}
	})
}

func TestBacklogIsAQueueOfBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q backlog
		var store chunkStore
		var model []byte
		fill := &pattern{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "add") {
				b := make([]byte, rapid.IntRange(0, 3*chunkBytes).Draw(t, "bytes"))
				_, _ = fill.Read(b)
				q.add(&store, b)
				model = append(model, b...)
			} else {
				v, size := q.pieces(nil)
				if got := bytes.Join(v, nil); len(got) != size || !bytes.HasPrefix(model, got) {
					t.Fatalf("pieces hold %d bytes that are not the first of %d", len(got), len(model))
				}
				n := rapid.IntRange(0, size).Draw(t, "taken")
				q.taken(&store, n)
				model = model[n:]
			}
			if q.size != len(model) {
				t.Fatalf("size is %d, want %d", q.size, len(model))
			}
		}
		q.drop(&store)
		if q.head != nil || q.tail != nil || q.size != 0 {
			t.Fatal("a dropped backlog is not empty")
		}
	})
}
