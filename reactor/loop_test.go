//go:build linux

package reactor

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

func TestEchoReturnsEveryByteOnOneAndOnThreeLoops(t *testing.T) {
	for _, loops := range []int{1, 3} {
		t.Run(strconv.Itoa(loops), func(t *testing.T) {
			r := newReactor(t, loops)
			var g errgroup.Group
			for i := range 24 {
				client, server := tcpPair(t)
				attach(t, r.Loops()[i%loops], server, &echo{})
				size := int64(1 + i*i*1000)
				g.Go(func() error { return <-transfer(client, size, 1+i*777) })
				g.Go(func() error { return receiveAll(client, size, 4096) })
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestTheThreadOfALoopOutlivesIt: the kernel takes the end of a thread for the end of the parent of what it has forked, and kills
// that where PR_SET_PDEATHSIG asks for it.
func TestTheThreadOfALoopOutlivesIt(t *testing.T) {
	r, err := New(Config{Loops: 3, Logger: slog.New(slog.DiscardHandler)}) // the process's first thread, which may run one, never ends
	if err != nil {
		t.Fatal(err)
	}
	var threads []int
	for _, l := range r.Loops() {
		on(t, l, func() { threads = append(threads, unix.Gettid()) })
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	watch := time.NewTicker(time.Millisecond)
	defer watch.Stop()
	for range 100 { // it would end a little after its goroutine
		for _, id := range threads {
			if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", id)); err != nil {
				t.Fatal(err)
			}
		}
		<-watch.C
	}
}

func TestRelaysOnThreeLoopsForwardEverythingBothWays(t *testing.T) {
	r := newReactor(t, 3)
	var g errgroup.Group
	for i := range 12 {
		a, left := tcpPair(t)
		b, right := unixPair(t)
		relay := newRelay(t, r.Loops()[i%3], left, right)
		const size = 300_000
		g.Go(func() error { return <-transfer(a, size, 5000) })
		g.Go(func() error { return receiveAll(a, size, 3000) })
		g.Go(func() error { return <-transfer(b, size, 7000) })
		g.Go(func() error { return receiveAll(b, size, 9000) })
		g.Go(func() error { <-relay.over; return relay.failed })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestRelayForwardsStreamsWrittenByteByByte(t *testing.T) {
	r := newReactor(t, 1)
	a, left := tcpPair(t)
	b, right := tcpPair(t)
	newRelay(t, r.Loops()[0], left, right)
	const size = 5000
	sent := transfer(a, size, 1)
	if err := receiveAll(b, size, 64); err != nil {
		t.Fatal(err)
	}
	if err := await(t, sent, "the sender"); err != nil {
		t.Fatal(err)
	}
}

func TestStaleEventsOfAClosedConnReachNobody(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	firstClient, first := tcpPair(t)
	secondClient, second := tcpPair(t)
	lateClient, late := tcpPair(t)
	newcomer := newRecorder()
	var a, b *Conn
	h := newRecorder()
	// Whichever is served first closes the other and gives its slot, and most likely its descriptor number, to a third.
	h.onReceived = func(c *Conn, _ []byte) {
		other := a
		if c == a {
			other = b
		}
		other.Close()
		l.Attach(late, newcomer)
	}
	on(t, l, func() { a, b = l.Attach(first, h), l.Attach(second, h) })
	before := exactStats(t, l).Receives
	// Both become readable while the loop is busy, so that one wait finds both.
	release, busy := make(chan struct{}), make(chan struct{})
	l.Post(TaskFunc(func(*Loop) { close(busy); <-release }))
	await(t, busy, "the loop to be busy")
	for _, c := range []io.Writer{firstClient, secondClient} {
		if _, err := io.WriteString(c, "x"); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	h.want(t, "received")
	h.wantNothing(t, l)
	newcomer.wantNothing(t, l)
	if n := exactStats(t, l).Receives - before; n != 1 {
		t.Errorf("%d receives, want 1: the stale event was taken for one of the newcomer", n)
	}
	if _, err := io.WriteString(lateClient, "late"); err != nil {
		t.Fatal(err)
	}
	newcomer.wantData(t, "late")
}

func TestAHandlerMayCloseItsOwnAndOtherConnsInEveryCallback(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	var conns []*Conn
	closeAll := func() {
		for _, c := range conns {
			c.Close()
		}
	}
	for _, when := range []string{"received", "ended", "failed", "blocked"} {
		t.Run(when, func(t *testing.T) {
			client, server := tcpPair(t)
			_, bystander := tcpPair(t)
			h := newRecorder()
			h.onReceived = func(c *Conn, _ []byte) {
				switch when {
				case "received":
					closeAll()
				case "blocked":
					c.Send(make([]byte, 64<<20))
				}
			}
			h.onEnded = func(*Conn) { closeAll() }
			h.onFailed = func(*Conn, error) { closeAll() }
			h.onBlocked = func(*Conn) { closeAll() }
			on(t, l, func() { conns = []*Conn{l.Attach(server, h), l.Attach(bystander, h)} })
			switch when {
			case "received", "blocked":
				_, _ = io.WriteString(client, "x")
				h.wantData(t, "x")
			case "ended":
				_ = client.CloseWrite()
			case "failed":
				_ = client.SetLinger(0)
				_ = client.Close()
			}
			if when != "received" {
				h.want(t, when)
			}
			h.wantNothing(t, l)
			if got := exactStats(t, l).Attached; got != 0 {
				t.Errorf("%d connections are still attached", got)
			}
		})
	}
}

func TestPickFillsTheFirstLoopThatIsNotBusyEnough(t *testing.T) {
	tests := []struct {
		busy []float64
		want int
	}{
		{[]float64{0, 0, 0}, 0},
		{[]float64{0.74, 0, 0}, 0},
		{[]float64{0.8, 0.2, 0}, 1},
		{[]float64{0.9, 0.8, 0.1}, 2},
		{[]float64{0.9, 0.8, 0.85}, 1},
	}
	for _, tt := range tests {
		r := &Reactor{epoch: newEpoch()}
		for _, b := range tt.busy {
			l := &Loop{id: len(r.loops), reactor: r}
			l.gauge.level.Store(math.Float64bits(b))
			l.gauge.updatedAt.Store(math.MaxInt64) // never grows old
			r.loops = append(r.loops, l)
		}
		if got := r.Pick().ID(); got != tt.want {
			t.Errorf("Pick with busy %v is loop %d, want %d", tt.busy, got, tt.want)
		}
	}
}

func TestBusyTellsALoopThatWorksFromOneThatSleeps(t *testing.T) {
	var g gauge
	var spent, now int64
	g.start(now, func() int64 { return spent })
	windows := func(n int, worked int64) float64 {
		for range n {
			now += 10_000_000
			spent += worked
			g.measure(now)
		}
		return math.Float64frombits(g.level.Load())
	}
	if level := windows(100, 9_000_000); level < 0.85 || level > 0.95 {
		t.Errorf("busy is %.3f, want about 0.9", level)
	}
	if level := windows(100, 1_000_000); level < 0.05 || level > 0.15 {
		t.Errorf("busy is %.3f, want about 0.1", level)
	}
	if level := windows(100, 11_000_000); level < 0.95 || level > 1 { // the clocks are not read at once
		t.Errorf("busy is %.3f, want about 1", level)
	}
}

// A brisk wait keeps its processor. The garbage collector, which needs all of them, must not wait for the next event.
func TestABriskWaitDoesNotHoldUpTheScheduler(t *testing.T) {
	r := newReactor(t, 1)
	client, server := tcpPair(t)
	attach(t, r.Loops()[0], server, &echo{})
	for range 20 {
		for range 10 { // as long as this goes on the waits are short
			write(t, client, "x")
			wantRead(t, client, "x")
		}
		runtime.GC() // now the loop waits for what does not come
		on(t, r.Loops()[0], func() { r.Loops()[0].patient = true })
	}
}

func TestALoopWaitsOutSuchAPauseAsTheLastOneWas(t *testing.T) {
	type wait struct {
		ms    int64
		found int
		brisk bool // the next one
	}
	for _, tt := range []struct {
		name  string
		waits []wait
	}{
		{"short waits", []wait{{1, 1, true}, {0, 3, true}, {1, 1, true}}},
		{"interrupted in its first pause", []wait{{0, 1, true}, {10, 0, false}, {10, 0, false}}},
		{"every 25 ms", []wait{{0, 1, true}, {10, 0, false}, {15, 1, true}, {0, 1, true}, {10, 0, true}, {10, 0, true}, {5, 1, true}}},
		{"a pause too long", []wait{{25, 1, true}, {90, 0, true}, {10, 0, true}, {1, 0, false}, {1, 1, false}, {0, 1, true}, {10, 0, false}}},
		{"every second", []wait{{0, 1, true}, {10, 0, false}, {990, 1, false}, {0, 1, true}, {10, 0, false}}},
		{"what was waited ends with an event", []wait{{25, 1, true}, {60, 0, true}, {0, 1, true}, {60, 0, true}, {0, 1, true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l Loop
			for i, w := range tt.waits {
				if l.expect(w.found, w.ms*int64(time.Millisecond)); l.brisk != w.brisk {
					t.Fatalf("wait %d, %d ms, found %d: the next one keeps its processor: %t", i, w.ms, w.found, l.brisk)
				}
			}
		})
	}
}

func TestStatsCanBeReadFromAnyGoroutine(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	client, server := tcpPair(t)
	attach(t, l, server, &echo{})
	for l.Stats().BytesOut < 10 || l.Stats().Attached != 1 { // published within milliseconds of the loop's work
		write(t, client, "x")
		wantRead(t, client, "x")
		ticks(t, l, 1)
	}
	got := l.Stats()
	if got.BytesIn < got.BytesOut || got.Turns == 0 || got.Waits == 0 || got.Receives == 0 || got.Sends == 0 {
		t.Errorf("counters: %+v", got)
	}
	if b := l.Busy(); b < 0 || b > 1 {
		t.Errorf("busy is %f", b)
	}
	if l.Reactor() != r {
		t.Error("the loop does not know its reactor")
	}
}

func TestCloseClosesConnsWithoutCallbacksAndIsIdempotent(t *testing.T) {
	r := newReactor(t, 2)
	h := newRecorder()
	clientA, a := tcpPair(t)
	clientB, b := unixPair(t)
	attach(t, r.Loops()[0], a, h)
	attach(t, r.Loops()[1], b, h)
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []io.Reader{clientA, clientB} {
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("the peer reads %d, %v; want EOF", n, err)
		}
	}
	select {
	case got := <-h.calls:
		t.Errorf("the handler was called with %v", got)
	default:
	}
}

func TestNewRefusesASenselessConfig(t *testing.T) {
	for _, cfg := range []Config{{Loops: -1}, {Loops: 100000}, {ScratchBytes: 10}, {ScratchBytes: 1 << 30}} {
		if r, err := New(cfg); err == nil {
			_ = r.Close()
			t.Errorf("New(%+v) succeeded", cfg)
		}
	}
	if err := Defaults().Validate(); err != nil {
		t.Error(err)
	}
}
