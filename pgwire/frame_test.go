package pgwire_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
)

func header(kind byte, length uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{kind}, length)
}

// peek is one of PeekFrame, PeekFrontend and PeekBackend.
type peek func([]byte) (pgwire.Frame, bool, error)

func TestAHeaderIsReadOnceItIsComplete(t *testing.T) {
	whole := pgwire.AppendReadyForQuery(nil, pgwire.StatusIdle)
	for n := range pgwire.HeaderLen {
		for _, p := range []peek{pgwire.PeekFrame, pgwire.PeekBackend} {
			if f, ok, err := p(whole[:n]); ok || err != nil || f != (pgwire.Frame{}) {
				t.Errorf("%d bytes: %v, %v, %v", n, f, ok, err)
			}
		}
	}
	f, ok, err := pgwire.PeekBackend(whole[:pgwire.HeaderLen])
	if want := (pgwire.Frame{Kind: 'Z', Len: 6}); f != want || !ok || err != nil {
		t.Fatalf("got %v, %v, %v", f, ok, err)
	}
	if body := f.Body(whole); string(body) != "I" {
		t.Errorf("body %q", body)
	}
}

// The limits are what a PostgreSQL 15 was seen to accept and to refuse.
func TestClientMessagesHaveThePostgreSQLLimits(t *testing.T) {
	limits := map[uint32]string{0x3ffffffe: "QPBFd", 65535: "p", 10000: "DCESHXcf"}
	var known []byte
	for limit, kinds := range limits {
		for _, kind := range []byte(kinds) {
			known = append(known, kind)
			wantFrame(t, pgwire.PeekFrontend, kind, 4)
			wantFrame(t, pgwire.PeekFrontend, kind, limit)
			wantRefusal(t, pgwire.PeekFrontend, header(kind, 3), pgwire.ErrMessageLength)
			wantRefusal(t, pgwire.PeekFrontend, header(kind, limit+1), pgwire.ErrMessageLength)
			wantRefusal(t, pgwire.PeekFrontend, header(kind, 0xffffffff), pgwire.ErrMessageLength)
		}
	}
	for kind := range 256 {
		if !slices.Contains(known, byte(kind)) {
			wantRefusal(t, pgwire.PeekFrontend, header(byte(kind), 10), pgwire.ErrMessageType)
			wantRefusal(t, pgwire.PeekFrontend, header(byte(kind), 0), pgwire.ErrMessageType)
		}
	}
	if _, _, err := pgwire.PeekFrontend(header('Z', 5)); err.Error() != "FATAL: invalid frontend message type 90 (SQLSTATE 08P01)" {
		t.Error(err)
	}
}

func TestServerMessagesHaveTheLengthsOfTheirKind(t *testing.T) {
	const longest = 0x40000002 // a body of PostgreSQL's MaxAllocSize-1 bytes and the length word
	for kinds, w := range map[string][2]uint32{
		"123nsIc": {4, 4}, "Z": {5, 5}, "K": {12, 264}, "R": {8, longest}, "CEN": {5, longest}, "d": {4, longest}, "DTtS": {6, longest},
		"GHW": {7, longest}, "V": {8, longest}, "A": {10, longest}, "v": {12, longest},
	} {
		for _, kind := range []byte(kinds) {
			wantFrame(t, pgwire.PeekBackend, kind, w[0])
			wantFrame(t, pgwire.PeekBackend, kind, w[1])
			wantRefusal(t, pgwire.PeekBackend, header(kind, w[0]-1), pgwire.ErrServerProtocol)
			wantRefusal(t, pgwire.PeekBackend, header(kind, w[1]+1), pgwire.ErrServerProtocol)
		}
	}
	for _, kind := range []byte("QPBFXfp\x00\x16\xff") {
		for _, length := range []uint32{0, 4, 12} {
			wantRefusal(t, pgwire.PeekBackend, header(kind, length), pgwire.ErrServerProtocol)
		}
	}
}

func TestFramesOfEitherSideHaveOneLimit(t *testing.T) {
	wantFrame(t, pgwire.PeekFrame, 'D', 0x40000002)
	wantRefusal(t, pgwire.PeekFrame, header('D', 0x40000003), pgwire.ErrMessageLength)
	wantRefusal(t, pgwire.PeekFrame, header('D', 3), pgwire.ErrMessageLength)
}

func wantFrame(t *testing.T, p peek, kind byte, length uint32) {
	t.Helper()
	f, ok, err := p(header(kind, length))
	if want := (pgwire.Frame{Kind: kind, Len: int(length) + 1}); f != want || !ok || err != nil {
		t.Errorf("%q, length %d: %v, %v, %v", kind, length, f, ok, err)
	}
}

func wantRefusal(t *testing.T, p peek, b []byte, id pgwire.ErrID) {
	t.Helper()
	f, ok, err := p(b)
	var e *pgwire.Error
	if ok || f != (pgwire.Frame{}) || !errors.As(err, &e) || e.ID != id {
		t.Errorf("% x: %v, %v, %v", b, f, ok, err)
	}
}

func TestPeekingDoesNotAllocate(t *testing.T) {
	server := pgwire.AppendReadyForQuery(nil, pgwire.StatusIdle)
	client := pgwire.AppendQuery(nil, "SELECT 1")
	n := testing.AllocsPerRun(100, func() {
		_, _, _ = pgwire.PeekFrame(client)
		_, _, _ = pgwire.PeekFrontend(client)
		_, _, _ = pgwire.PeekBackend(server)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// deframer is the simplest reader of a stream: it keeps what is incomplete.
type deframer struct {
	peek   peek
	kept   []byte
	frames []string
	err    error
}

func (d *deframer) feed(b []byte) {
	if d.err != nil {
		return
	}
	d.kept = append(d.kept, b...)
	for {
		f, ok, err := d.peek(d.kept)
		if d.err = err; err != nil || !ok || len(d.kept) < f.Len {
			return
		}
		d.frames = append(d.frames, string(d.kept[:f.Len]))
		d.kept = d.kept[f.Len:]
	}
}

// FuzzFrames: wherever a stream is cut, its frames, its rest and its error are the same.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("Q\x00\x00\x00\x0dSELECT 1\x00S\x00\x00\x00\x04X\x00\x00\x00\x04"), []byte{1, 5, 2}, true)
	f.Add([]byte("T\x00\x00\x00\x06\x00\x00D\x00\x00\x00\x06\x00\x00C\x00\x00\x00\x0dSELECT 1\x00Z\x00\x00\x00\x05I"), []byte{7, 1}, false)
	f.Add([]byte("Z\x00\x00\x00\x04"), []byte{4}, false)
	f.Add([]byte("Q\x7f\xff\xff\xff"), []byte{0, 3}, true)
	f.Fuzz(func(t *testing.T, stream, cuts []byte, client bool) {
		p := peek(pgwire.PeekBackend)
		if client {
			p = pgwire.PeekFrontend
		}
		whole, single, cut := deframer{peek: p}, deframer{peek: p}, deframer{peek: p}
		whole.feed(stream)
		for i := range stream {
			single.feed(stream[i : i+1])
		}
		rest := stream
		for _, c := range cuts {
			n := min(int(c), len(rest))
			cut.feed(rest[:n])
			rest = rest[n:]
		}
		cut.feed(rest)
		for _, d := range []*deframer{&single, &cut} {
			if !slices.Equal(whole.frames, d.frames) || !sameError(whole.err, d.err) || whole.err == nil && string(whole.kept) != string(d.kept) {
				t.Errorf("whole: %q, %q, %v\ncut: %q, %q, %v", whole.frames, whole.kept, whole.err, d.frames, d.kept, d.err)
			}
		}
		checkWider(t, stream, p)
	})
}

// checkWider: what either side's reader accepts, PeekFrame accepts alike.
func checkWider(t *testing.T, stream []byte, p peek) {
	t.Helper()
	f, ok, err := p(stream)
	if err != nil {
		return
	}
	if g, okay, err := pgwire.PeekFrame(stream); g != f || okay != ok || err != nil {
		t.Errorf("PeekFrame: %v, %v, %v; else %v, %v", g, okay, err, f, ok)
	}
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Error() == b.Error()
}

// TestWholeSaysWhatPeekSays, of a message of each kind and of any length that matters, and of one whose end is missing.
func TestWholeSaysWhatPeekSays(t *testing.T) {
	for _, side := range []struct {
		peek  peek
		whole func([]byte) int
	}{{pgwire.PeekFrontend, pgwire.WholeFrontend}, {pgwire.PeekBackend, pgwire.WholeBackend}} {
		for kind := range 256 {
			for _, length := range []uint32{0, 1, 3, 4, 5, 6, 7, 8, 11, 12, 264, 265, 10000, 10001, 65535, 65536} {
				b := append(header(byte(kind), length), make([]byte, length)...)
				for _, n := range []int{1, pgwire.HeaderLen, int(length), int(length) + 1, len(b)} {
					here := b[:min(n, len(b))]
					want := 0
					if f, ok, err := side.peek(here); ok && err == nil && f.Len <= len(here) {
						want = f.Len
					}
					if got := side.whole(here); got != want {
						t.Fatalf("%q with length %d, %d bytes of it: %d, want %d", byte(kind), length, len(here), got, want)
					}
				}
			}
		}
	}
}
