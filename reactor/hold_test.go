//go:build linux

package reactor

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// turn is a test in which several connections become readable in one turn. Their handler hears them in the order of their numbers.
type turn struct {
	t     *testing.T
	loop  *Loop
	conns []*Conn
	peers []io.ReadWriteCloser
	hears func(n int, b []byte) // what happens when connection n has received b
	heard chan struct{}         // one for each such call
}

// newTurn attaches so many connections to a loop of their own.
func newTurn(t *testing.T, conns int, cfg Config) *turn {
	t.Helper()
	cfg.Loops = 1
	r := &turn{t: t, heard: make(chan struct{}, conns), loop: newReactorWith(t, cfg).Loops()[0]}
	for n := range conns {
		peer, socket := unixPair(t)
		h := newRecorder()
		h.onReceived = func(_ *Conn, b []byte) {
			r.hears(n, b)
			r.heard <- struct{}{}
		}
		r.peers = append(r.peers, peer)
		r.conns = append(r.conns, attach(t, r.loop, socket, h))
	}
	return r
}

// comes lets the peers say something in one turn of the loop, the first to the first connection, and waits until that turn is over.
func (r *turn) comes(words ...string) {
	r.t.Helper()
	on(r.t, r.loop, func() {
		for n, s := range words {
			if err := say(r.peers[n], s); err != nil {
				r.t.Error(err)
			}
		}
	})
	for range words {
		await(r.t, r.heard, "a callback")
	}
	on(r.t, r.loop, func() {})
}

// gets checks what the peer of connection n is sent next.
func (r *turn) gets(n int, want string) {
	r.t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(r.peers[n], b); err != nil || string(b) != want {
		r.t.Errorf("%d got %.80q, %v; want %.80q", n, b, err, want)
	}
}

func TestWhatATurnSendsIsHeldUntilItsConnectionsAreHeard(t *testing.T) {
	r := newTurn(t, 3, Config{})
	var unsent []string
	r.hears = func(n int, b []byte) {
		r.conns[2-n].Send(b)
		unsent = append(unsent, fmt.Sprint(r.conns[0].Unsent(), r.conns[1].Unsent(), r.conns[2].Unsent()))
	}
	r.comes("a", "bb", "ccc")
	r.gets(2, "a")
	r.gets(1, "bb")
	r.gets(0, "ccc")
	// The third has something to hear of its own when its turn comes: what is held leaves before.
	if want := []string{"0 0 1", "0 2 1", "3 0 0"}; !slices.Equal(unsent, want) {
		t.Errorf("unsent after each callback: %q, want %q", unsent, want)
	}
}

func TestQueriesHaveLeftWhenLateAnswersAreHeard(t *testing.T) {
	r := newTurn(t, 3, Config{})
	var sent uint64
	r.hears = func(n int, b []byte) {
		if n == 0 {
			sent = r.conns[2].Sent()
		} else {
			r.conns[2].Send(b)
		}
	}
	r.conns[0].SetLate(true)
	r.comes("answer", "query")
	r.gets(2, "query")
	if sent != uint64(len("query")) {
		t.Errorf("%d bytes had left", sent)
	}
}

func TestASenderMayReuseItsBytesWhenItsCallbackIsOver(t *testing.T) {
	for _, size := range []int{3, keptBytes - 1, keptBytes + 1} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			r := newTurn(t, 4, Config{})
			shared := make([]byte, 2*size)
			r.hears = func(n int, b []byte) {
				for i := range shared {
					shared[i] = b[0]
				}
				r.conns[n+2].Send(shared[:size])
				r.conns[n+2].Send(b) // from elsewhere: a second piece
				r.conns[n+2].Send(shared[size:])
			}
			r.comes("a", "b")
			for n, letter := range []string{"a", "b"} {
				r.gets(n+2, strings.Repeat(letter, 2*size+1))
			}
		})
	}
}

func TestWhatIsSentBehindWhatIsHeldMayBeReusedToo(t *testing.T) {
	r := newTurn(t, 4, Config{})
	shared := make([]byte, 5)
	r.hears = func(_ int, b []byte) {
		copy(shared, b)
		r.conns[3].Send(shared)
	}
	r.comes("one, ", "two, ", "three")
	r.gets(3, "one, two, three")
}

func TestWhatIsTooMuchToKeepLeavesAtOnce(t *testing.T) {
	r := newTurn(t, 3, Config{})
	big := bytes.Repeat([]byte("x"), keptBytes+1)
	var sent uint64
	r.hears = func(n int, _ []byte) {
		if n == 0 {
			r.conns[2].Send(big)
		} else {
			sent = r.conns[2].Sent()
		}
	}
	r.comes("a", "b")
	r.gets(2, string(big))
	if sent != uint64(len(big)) {
		t.Errorf("%d bytes had left when the second callback came, want %d", sent, len(big))
	}
}

func TestWhatFollowsOnAHeldConnectionComesBehindIt(t *testing.T) {
	for _, tc := range []struct {
		name   string
		second func(r *turn, b []byte)
		want   string
	}{
		{"more", func(r *turn, b []byte) { r.conns[2].Send(b) }, "firstsecond"},
		{"a copy", func(r *turn, b []byte) { r.conns[2].sendCopy(b) }, "firstsecond"},
		{"close after flush", func(r *turn, b []byte) { r.conns[2].Send(b); r.conns[2].CloseAfterFlush(patience) }, "firstsecond"},
		{"close", func(r *turn, b []byte) { r.conns[2].Send(b); r.conns[2].Close() }, "first"},
		{"close alone", func(r *turn, _ []byte) { r.conns[2].Close() }, "first"},
		{"fin", func(r *turn, _ []byte) { r.conns[2].CloseWrite() }, "first"},
		{"another loop", func(r *turn, b []byte) {
			r.conns[2].Send(b)
			d := r.conns[2].Detach()
			r.loop.Post(TaskFunc(func(l *Loop) { l.Adopt(d, newRecorder()).CloseAfterFlush(patience) }))
		}, "firstsecond"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newTurn(t, 3, Config{})
			r.hears = func(n int, b []byte) {
				if n == 0 {
					r.conns[2].Send(b)
				} else {
					tc.second(r, b)
				}
			}
			r.comes("first", "second")
			if tc.name == "more" || tc.name == "a copy" {
				r.gets(2, tc.want)
				return
			}
			if got, err := io.ReadAll(r.peers[2]); err != nil || string(got) != tc.want {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestAHandlerThatIsDueIsCalledBeforeTheTurnGoesOn(t *testing.T) {
	r := newTurn(t, 2, Config{})
	_, socket := unixPair(t)
	attach(t, r.loop, socket, newRecorder())
	var order []string
	h := newRecorder()
	h.onFailed = func(*Conn, error) { order = append(order, "failed") }
	r.hears = func(n int, b []byte) {
		order = append(order, string(b))
		if n == 0 {
			r.loop.Attach(socket, h) // which it is already
		}
	}
	r.comes("first", "second")
	on(t, r.loop, func() {
		if want := []string{"first", "failed", "second"}; !slices.Equal(order, want) {
			t.Errorf("order %q, want %q", order, want)
		}
	})
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	for _, tc := range []struct{ scratch, conns, room int }{
		{scratch: DefaultScratchBytes, conns: maxHeld, room: DefaultScratchBytes / 2},
		{scratch: 4096, conns: 33, room: 2048}, // half of it, and one more
	} {
		t.Run(strconv.Itoa(tc.scratch), func(t *testing.T) {
			const all = 3 * maxHeld
			r := newTurn(t, all, Config{ScratchBytes: tc.scratch})
			conns, room := 0, tc.scratch
			r.hears = func(n int, b []byte) {
				r.conns[all-1-n].Send(b)
				conns, room = max(conns, len(r.loop.unsettled)), min(room, len(r.loop.room()))
			}
			words := make([]string, all)
			for n := range words {
				words[n] = strings.Repeat(string(rune('a'+n%26)), 1+n%64)
			}
			r.comes(words...)
			for n, want := range words {
				r.gets(all-1-n, want)
			}
			if conns != tc.conns || room < tc.room {
				t.Errorf("%d connections were held at a time, want %d; a receive had %d bytes of room, want %d at least", conns, tc.conns, room, tc.room)
			}
		})
	}
}
