package backend

import (
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
)

// collector hands on what a loop receives.
type collector struct {
	received chan []byte
}

func (h collector) Received(_ *reactor.Conn, b []byte) { h.received <- append([]byte(nil), b...) }
func (h collector) Ended(*reactor.Conn)                { close(h.received) }
func (h collector) Blocked(*reactor.Conn)              {}
func (h collector) Drained(*reactor.Conn)              {}
func (h collector) Failed(*reactor.Conn, error)        { close(h.received) }

// until reads what was received up to a number of bytes.
func (h collector) until(t *testing.T, n int) []byte {
	t.Helper()
	limit := time.NewTimer(testLimit)
	defer limit.Stop()
	var got []byte
	for len(got) < n {
		select {
		case b, ok := <-h.received:
			if !ok {
				t.Fatalf("the connection ended after %d bytes", len(got))
			}
			got = append(got, b...)
		case <-limit.C:
			t.Fatalf("only %d bytes came", len(got))
		}
	}
	return got
}

func TestBytesReadTooFarReachTheLoopFirst(t *testing.T) {
	late := pgwire.AppendNotice(nil, &pgwire.Error{Severity: "WARNING", Code: "01000", Message: "too early"})
	half := pgwire.AppendParameterStatus(nil, "TimeZone", "UTC")
	sends := join(greeting("in_hot_standby", "off"), late, half[:7])
	c, err := dial(t, Target{Address: script(t, sends)}, login("u", "p"))
	if err != nil {
		t.Fatal(err)
	}
	loops, err := reactor.New(reactor.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = loops.Close() }()
	h := collector{make(chan []byte, 8)}
	loop := loops.Loops()[0]
	if !loop.Post(reactor.TaskFunc(func(l *reactor.Loop) { l.Attach(c.Socket, h) })) {
		t.Fatal("the loop takes no task")
	}
	want := join(late, half[:7])
	if got := h.until(t, len(want)); string(got) != string(want) {
		t.Errorf("the loop received %q, want %q", got, want)
	}
}
