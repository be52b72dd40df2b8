//go:build linux

package reactor

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asker does round trips over a relay to an echoing peer.
type asker struct {
	client net.Conn
	b      [64]byte
}

func (a *asker) roundTrip() error {
	if _, err := a.client.Write(a.b[:]); err != nil {
		return err
	}
	_, err := io.ReadFull(a.client, a.b[:])
	return err
}

func TestARoundTripThroughARelayAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newReactor(t, 1)
	l := r.Loops()[0]
	a, left := tcpPair(t)
	b, right := tcpPair(t)
	newRelay(t, l, left, right)
	echoed := make(chan error, 1)
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{b}, struct{ io.Reader }{b}, make([]byte, 4096))
		echoed <- err
	}()
	ask := &asker{client: a}
	timer := newTimer(func(*Loop) {})
	arm := TaskFunc(func(l *Loop) { l.Arm(&timer.Timer, time.Minute); l.Disarm(&timer.Timer) })
	var task Task = arm
	run := func() {
		l.Post(task)
		if err := ask.roundTrip(); err != nil {
			t.Error(err)
		}
	}
	for range 100 {
		run()
	}
	if n := testing.AllocsPerRun(2000, run); n != 0 {
		t.Errorf("%v allocations per round trip", n)
	}
	_ = a.CloseWrite()
	if err := await(t, echoed, "the echo"); err != nil {
		t.Error(err)
	}
}

func TestARoundTripThroughARelayCostsFourDataCalls(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	a, left := tcpPair(t)
	b, right := tcpPair(t)
	newRelay(t, l, left, right)
	go func() { _, _ = io.CopyBuffer(struct{ io.Writer }{b}, struct{ io.Reader }{b}, make([]byte, 4096)) }()
	ask := &asker{client: a}
	before := exactStats(t, l)
	const rounds = 500
	for range rounds {
		if err := ask.roundTrip(); err != nil {
			t.Fatal(err)
		}
	}
	after := exactStats(t, l)
	if n := after.Receives - before.Receives; n != 2*rounds {
		t.Errorf("%d receives for %d round trips, want two for each", n, rounds)
	}
	if n := after.Sends - before.Sends; n != 2*rounds {
		t.Errorf("%d sends for %d round trips, want two for each", n, rounds)
	}
	if n := after.Controls - before.Controls; n != 0 {
		t.Errorf("%d epoll_ctl, want none", n)
	}
	_ = a.CloseWrite()
}

// BenchmarkRelay measures round trips over a relay between loopback pairs: c clients, each with an echoing peer, all driven
// by one blocking goroutine with plain system calls, c at a time. Reported are the loop's system calls and the process's
// CPU time per round trip (the driver's share is the same for every version of the loop).
func BenchmarkRelay(b *testing.B) {
	for _, clients := range []int{1, 16, 100} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { benchmarkRelay(b, clients) })
	}
}

func benchmarkRelay(b *testing.B, clients int) {
	b.Helper()
	r := newReactor(b, 1)
	l := r.Loops()[0]
	driver := &driver{b: b}
	for range clients {
		client, left := tcpPair(b)
		server, right := tcpPair(b)
		newRelay(b, l, left, right)
		driver.add(client, server)
	}
	defer driver.close()
	before, used := exactStats(b, l), cpuTime(b)
	b.ResetTimer()
	for n := 0; n < b.N; n += clients {
		driver.round()
	}
	b.StopTimer()
	after := exactStats(b, l)
	trips := float64((b.N + clients - 1) / clients * clients)
	data := after.Receives - before.Receives + after.Sends - before.Sends
	b.ReportMetric(float64(data)/trips, "data-calls/trip")
	b.ReportMetric(float64(after.Waits-before.Waits)/trips, "waits/trip")
	b.ReportMetric(float64(after.Controls-before.Controls)/trips, "ctl/trip")
	b.ReportMetric(float64(cpuTime(b)-used)/trips/1000, "cpu-µs/trip")
}

func cpuTime(b *testing.B) int64 {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// driver plays clients and servers with blocking descriptors.
type driver struct {
	b        *testing.B
	clients  []int
	servers  []int
	question [70]byte
	answer   [90]byte
}

func (d *driver) add(client, server net.Conn) {
	for _, p := range []struct {
		c    net.Conn
		list *[]int
	}{{client, &d.clients}, {server, &d.servers}} {
		fd, err := duplicate(p.c)
		if err != nil {
			d.b.Fatal(err)
		}
		_ = p.c.Close()
		if err := unix.SetNonblock(fd, false); err != nil {
			d.b.Fatal(err)
		}
		*p.list = append(*p.list, fd)
	}
}

func (d *driver) round() {
	d.all(d.clients, d.question[:], unix.Write)
	d.all(d.servers, d.question[:], unix.Read)
	d.all(d.servers, d.answer[:], unix.Write)
	d.all(d.clients, d.answer[:], unix.Read)
}

func (d *driver) all(fds []int, b []byte, f func(int, []byte) (int, error)) {
	for _, fd := range fds {
		if n, err := f(fd, b); n != len(b) || err != nil {
			d.b.Fatalf("%d bytes, %v", n, err)
		}
	}
}

func (d *driver) close() {
	for _, fd := range append(d.clients, d.servers...) {
		_ = unix.Close(fd)
	}
}

func TestAnIdleConnTakesLittleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newReactor(t, 1)
	l := r.Loops()[0]
	ln := listen(t, "tcp", "127.0.0.1:0", ListenOptions{})
	const conns = 500
	peers := make([]int, 0, conns)
	defer func() {
		for _, fd := range peers {
			_ = unix.Close(fd)
		}
	}()
	h := &echo{}
	before := heap()
	for range conns {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, fd)
		addr := ln.Addr().(*net.TCPAddr)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}); err != nil {
			t.Fatal(err)
		}
		s, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		attach(t, l, s, h)
	}
	const limit = 800
	if got := (heap() - before) / conns; got > limit {
		t.Errorf("%d bytes for each idle connection, want at most %d", got, limit)
	} else {
		t.Logf("%d bytes for each idle connection", got)
	}
}

// heap returns the bytes of live objects.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
