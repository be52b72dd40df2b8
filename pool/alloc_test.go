//go:build !race

package pool

import (
	"testing"

	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
)

// taker is a client that only takes and gives.
type taker struct {
	w      Waiter
	server *Server
}

func (k *taker) Granted(s *Server) { k.server = s }
func (k *taker) Refused(error)     {}

// quickWorld is a queue with n idle servers on one loop whose sockets do nothing: what is measured is the pool alone.
func quickWorld(tb testing.TB, n int) (*world, *reactor.Loop) {
	tb.Helper()
	cfg := Defaults()
	cfg.Size = n
	w := newWorld(tb, routing.Primary, 1, cfg)
	w.publish(w.picture("a", 1, 1))
	takers := make([]taker, n)
	for i := range takers {
		takers[i].w = Waiter{Grantee: &takers[i], Loop: w.loops[0]}
		if _, err := w.queue.Acquire(&takers[i].w); err != nil {
			tb.Fatal(err)
		}
	}
	w.dialAll()
	w.running = w.loops[0]
	for i := range takers {
		w.queue.Release(takers[i].server, Clean)
	}
	w.pool.verify = false
	w.pool.wires = reactorWires{pool: w.pool, reactor: new(reactor.Reactor)}
	return w, w.loops[0]
}

func TestAcquireAndReleaseDoNotAllocate(t *testing.T) {
	w, l := quickWorld(t, 3)
	k := &taker{}
	k.w = Waiter{Grantee: k, Loop: l}
	if n := testing.AllocsPerRun(1000, func() {
		s, err := w.queue.Acquire(&k.w)
		if s == nil || err != nil {
			t.Fatal("no idle server")
		}
		w.queue.Release(s, Clean)
	}); n != 0 {
		t.Errorf("acquire and release allocate %v times", n)
	}
}

func TestHandingOverDoesNotAllocate(t *testing.T) {
	w, l := quickWorld(t, 1)
	a, b := &taker{}, &taker{}
	a.w, b.w = Waiter{Grantee: a, Loop: l}, Waiter{Grantee: b, Loop: l}
	a.server, _ = w.queue.Acquire(&a.w)
	if n := testing.AllocsPerRun(1000, func() {
		if s, err := w.queue.Acquire(&b.w); s != nil || err != nil {
			t.Fatal("b need not wait")
		}
		w.queue.Release(a.server, Clean)
		a, b = b, a
	}); n != 0 {
		t.Errorf("waiting and handing over allocate %v times", n)
	}
}

func TestAPlaceThatIsGivenUpDoesNotAllocate(t *testing.T) {
	w, l := quickWorld(t, 1)
	a, b := &taker{}, &taker{}
	a.w, b.w = Waiter{Grantee: a, Loop: l}, Waiter{Grantee: b, Loop: l}
	a.server, _ = w.queue.Acquire(&a.w)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := w.queue.Acquire(&b.w); err != nil || !w.queue.GiveUp(&b.w) {
			t.Fatal("no place")
		}
	}); n != 0 {
		t.Errorf("giving up allocates %v times", n)
	}
}

func BenchmarkAcquireRelease(b *testing.B) {
	w, l := quickWorld(b, 20)
	k := &taker{}
	k.w = Waiter{Grantee: k, Loop: l}
	b.ReportAllocs()
	for b.Loop() {
		s, _ := w.queue.Acquire(&k.w)
		w.queue.Release(s, Clean)
	}
}

func BenchmarkHandOver(b *testing.B) {
	w, l := quickWorld(b, 1)
	x, y := &taker{}, &taker{}
	x.w, y.w = Waiter{Grantee: x, Loop: l}, Waiter{Grantee: y, Loop: l}
	x.server, _ = w.queue.Acquire(&x.w)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = w.queue.Acquire(&y.w)
		w.queue.Release(x.server, Clean)
		x, y = y, x
	}
}
