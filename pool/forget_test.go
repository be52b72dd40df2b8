package pool

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
)

// again makes one more use of the world's queue.
func (w *world) again() { w.queue = w.pool.Queue(w.queue.key, w.queue.rules, w.queue.mu.cfg) }

func (w *world) forgotten() bool { return len(w.pool.Stats()) == 0 }

func TestAQueueIsForgottenWhenNobodyUsesItAndItHasNothingLeft(t *testing.T) {
	served := func(w *world, c *client) {
		c.acquire()
		w.dialAll()
	}
	killed := func(w *world, _ *client) { w.kill(w.wires[0]) }
	for name, tc := range map[string]struct{ has, loses func(w *world, c *client) }{
		"a user":   {func(w *world, _ *client) { w.again() }, func(w *world, _ *client) { w.queue.Leave() }},
		"a server": {func(w *world, c *client) { served(w, c); c.release(Clean) }, killed},
		"a server that is too old": {
			func(w *world, c *client) { served(w, c); c.release(Clean) }, func(w *world, _ *client) { w.elapse(2 * time.Hour) },
		},
		"a server in a reset": {func(w *world, c *client) { served(w, c); c.release(Dirty) }, killed},
		"a server that a cancel may still reach": {
			func(w *world, c *client) { served(w, c); c.server.BeginCancel(); c.release(Clean) },
			func(w *world, c *client) { c.last.Retire(); c.last.EndCancel(); w.runTasks() },
		},
		"a server that is being opened": {
			func(_ *world, c *client) { c.acquire(); c.giveUp() }, func(w *world, _ *client) { w.dialAll() },
		},
		"a server that has yet to reach its loop": {
			func(w *world, c *client) { c.acquire(); w.dialOK(0); c.giveUp() },
			func(w *world, _ *client) { w.runTasks(); w.kill(w.wires[0]) },
		},
		"a pause after a failure": {
			func(w *world, c *client) { c.acquire(); w.dialFails(0, permanent()); w.runTasks(); c.giveUp() },
			func(w *world, _ *client) { w.elapse(6 * time.Second) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, c := opened(t, 1, 1, 1)
			tc.has(w, c[0])
			w.queue.Leave()
			w.pool.sweep()
			if w.forgotten() {
				t.Fatal("forgotten at once")
			}
			tc.loses(w, c[0])
			w.pool.sweep()
			if !w.forgotten() {
				t.Fatalf("not forgotten: %+v", w.pool.Stats())
			}
			old := w.queue
			if w.again(); w.queue == old {
				t.Fatal("a forgotten queue is found")
			}
			c[0].acquire()
			w.dialAll()
			if c[0].server == nil {
				t.Error("the queue that is made again serves nobody")
			}
			w.runTasks()
		})
	}
}

func TestAQueueIsNotForgottenWhenSomebodyCameSinceItWasSeenUnused(t *testing.T) {
	for name, stays := range map[string]bool{"and stays": true, "and has left": false} {
		t.Run(name, func(t *testing.T) {
			w, c := opened(t, 1, 1, 1)
			old := w.queue
			old.Leave()
			seen := w.pool.unused()
			if nothing := old.sweep(true); !nothing || len(seen) != 1 {
				t.Fatalf("it has something, or %d are unused", len(seen))
			}
			w.again()
			c[0].acquire()
			if !stays {
				c[0].giveUp() // but a connection is being opened for him
				w.queue.Leave()
			}
			w.pool.forget(seen)
			if w.again(); w.queue != old {
				t.Fatal("forgotten")
			}
			w.dialAll()
			if stays && c[0].server == nil {
				t.Error("who came is not served")
			}
		})
	}
}

func TestWhoComesToAQueueThatIsMadeAgainFindsTheDoorAsItIs(t *testing.T) {
	w, c := opened(t, 1, 1, 1)
	for _, tc := range []struct {
		shut, open func()
		want       event.HoldReason
	}{
		{func() { w.pool.Pause("db", time.Hour) }, func() { w.pool.Unpause("db") }, event.HoldPaused},
		{func() { w.pool.Pause("", time.Hour) }, func() { w.pool.Unpause("") }, event.HoldPaused},
		{func() { w.pool.Hold(testCluster, event.HoldSwitchover) }, func() { w.pool.Resume(testCluster) }, event.HoldSwitchover},
	} {
		tc.shut()
		w.queue.Leave()
		w.pool.sweep()
		if !w.forgotten() {
			t.Fatal("not forgotten")
		}
		w.again()
		c[0].acquire()
		if len(w.dials) > 0 || w.reason(c[0]) != tc.want {
			t.Fatalf("%d dials, who comes waits because of %s, not %s", len(w.dials), w.reason(c[0]), tc.want)
		}
		tc.open()
		w.dialAll()
		if c[0].server == nil {
			t.Fatal("nobody is served when the door is open again")
		}
		c[0].release(Broken)
	}
}

func TestOptionsOfItsOwnLetAQueueWithoutUsersCloseItsServersWhateverTheIdleTimeout(t *testing.T) {
	cfg := Defaults()
	cfg.IdleTimeout, cfg.Lifetime = 0, 0
	for _, tc := range []struct {
		options string
		left    bool // by its user
		want    bool // forgotten
	}{{"", true, false}, {"geqo\x00off\x00", false, false}, {"geqo\x00off\x00", true, true}} {
		w := newWorld(t, routing.Primary, 1, cfg)
		w.publish(w.picture("a", 1, 1))
		w.queue.Leave()
		w.pool.sweep()
		key := w.queue.key
		key.Options = tc.options
		w.queue = w.pool.Queue(key, w.queue.rules, cfg)
		c := w.newClient(0)
		c.acquire()
		w.dialAll()
		c.release(Clean)
		if tc.left {
			w.queue.Leave()
		}
		w.elapse(optionsIdle - 1)
		if w.pool.sweep(); w.forgotten() {
			t.Errorf("options %q, left %v: forgotten early", tc.options, tc.left)
		}
		w.elapse(1)
		if w.pool.sweep(); w.forgotten() != tc.want || w.wires[0].server.state == stateClosed != tc.want {
			t.Errorf("options %q, left %v: forgotten %v, its server %s", tc.options, tc.left, w.forgotten(), w.wires[0].server.state)
		}
		w.runTasks()
	}
}

func TestAQueueThatStaysIsNotForgotten(t *testing.T) {
	w, _ := opened(t, 1, 1, 0)
	first := w.queue.Shared(func() any { return new(int) })
	w.queue.Stay()
	w.queue.Leave()
	w.pool.sweep()
	w.again()
	if got := w.queue.Shared(func() any { return new(int) }); got != first {
		t.Error("what its users share is forgotten")
	}
}

func TestWhoLeavesTooOftenOrTooEarlyIsFoundOut(t *testing.T) {
	for name, wrong := range map[string]func(w *world, c *client){
		"too often":      func(w *world, _ *client) { w.queue.Leave(); w.queue.Leave() },
		"while he waits": func(w *world, c *client) { c.acquire(); w.queue.Leave(); w.pool.sweep() },
		"with a server":  func(w *world, c *client) { c.acquire(); w.dialAll(); w.queue.Leave(); w.pool.sweep() },
	} {
		t.Run(name, func(t *testing.T) {
			w, c := opened(t, 1, 1, 1)
			defer func() {
				if recover() == nil {
					t.Error("nobody noticed")
				}
			}()
			wrong(w, c[0])
		})
	}
}

// TestCountersOfForgottenQueuesAreKeptByDatabaseAndUserThatServersKnow: those of others, who may be anything that a client has made up,
// are kept in one sum.
func TestCountersOfForgottenQueuesAreKeptByDatabaseAndUserThatServersKnow(t *testing.T) {
	w, c := opened(t, 1, 1, 1)
	visit := func(database, options string, serve bool) {
		key := w.queue.key
		key.Database, key.Options = database, options
		w.queue = w.pool.Queue(key, w.queue.rules, Defaults())
		c[0].acquire()
		switch {
		case serve:
			w.dialAll()
			c[0].release(Broken)
		case c[0].waiting:
			w.dialFails(0, permanent())
			w.runTasks()
		}
		w.queue.Leave()
	}
	w.queue.Leave()
	visit("db", "", true)
	visit("db", "geqo\x00off\x00", true)
	visit("db", "geqo\x00wrong\x00", false)
	for i := range 100 {
		visit(fmt.Sprintf("made up %d", i), "", false)
	}
	visit("made up 1", "", false) // refused at once, within the pause
	w.elapse(6 * time.Second)
	late := w.pool.unused()
	w.pool.sweep()
	w.pool.forget(late) // they are counted already
	if !w.forgotten() || len(w.pool.mu.ledger) != 2 {
		t.Errorf("%d queues, %d accounts", len(w.pool.Stats()), len(w.pool.mu.ledger))
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(w.pool.Collector()); err != nil {
		t.Fatal(err)
	}
	const want = `
# HELP pgrouter_pool_acquires_total Units of work that asked for a server.
# TYPE pgrouter_pool_acquires_total counter
pgrouter_pool_acquires_total{cluster="main",database="",route="primary",user=""} 101
pgrouter_pool_acquires_total{cluster="main",database="db",route="primary",user="u"} 3
# HELP pgrouter_pool_queues Queues that there are: one for each set of start-up options.
# TYPE pgrouter_pool_queues gauge
pgrouter_pool_queues{cluster="main",database="",route="primary",user=""} 0
pgrouter_pool_queues{cluster="main",database="db",route="primary",user="u"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "pgrouter_pool_acquires_total", "pgrouter_pool_queues"); err != nil {
		t.Error(err)
	}
	if got := w.pool.Waits(routing.Primary); got != 103 || w.pool.Waits(routing.Replica) != 0 {
		t.Errorf("%d have waited", got)
	}
}

// visitor uses one of a few queues that others use too, again and again, each time for one unit of work.
type visitor struct {
	stage  *stage
	loop   *reactor.Loop
	queues map[*Queue]bool // that it has been given
}

func (v *visitor) visit(name string) error {
	key := v.stage.queue.key
	key.Options = strconv.Itoa(rand.N(4))
	q := v.stage.pool.Queue(key, routing.Rules{}, v.stage.queue.mu.cfg)
	v.queues[q] = true
	over := make(chan error, 1)
	k := &worker{queue: q, name: name, left: 1, done: func(k *worker) { over <- k.fault }}
	k.w = Waiter{Grantee: k, Loop: v.loop}
	v.loop.Post(k)
	select {
	case err := <-over:
		q.Leave()
		return err
	case <-time.After(patience):
		return fmt.Errorf("it is stuck: %+v", q.Stats())
	}
}

// TestEverybodyIsServedWhileQueuesAreForgotten: users of the same queues come and go on real loops, and it is looked at all the time
// whether these can be forgotten.
func TestEverybodyIsServedWhileQueuesAreForgotten(t *testing.T) {
	const visitors, visits = 3, 200
	cfg := Defaults()
	cfg.Size, cfg.IdleTimeout = 2, 1
	st := newStage(t, 2, cfg)
	st.queue.Leave()
	var all, others sync.WaitGroup
	var over atomic.Bool
	others.Go(func() {
		for !over.Load() { // looks at all queues
			st.pool.Pause("another", time.Hour)
			st.pool.Unpause("another")
			if st.pool.Waits(routing.Primary) > visitors*visits {
				t.Error("more have waited than have come")
				return
			}
		}
	})
	others.Go(func() {
		for !over.Load() || len(st.pool.Stats()) > 0 {
			st.pool.sweep()
			runtime.Gosched()
		}
	})
	made := make(map[*Queue]bool)
	everybody := make([]visitor, visitors)
	for i := range everybody {
		v := &everybody[i]
		*v = visitor{stage: st, loop: st.reactor.Loops()[i%2], queues: make(map[*Queue]bool)}
		all.Go(func() {
			for j := range visits {
				if err := v.visit(fmt.Sprintf("visitor%d-%d", i, j)); err != nil {
					t.Errorf("visitor %d: %v", i, err)
					return
				}
			}
		})
	}
	all.Wait()
	over.Store(true)
	others.Wait()
	for _, v := range everybody {
		maps.Copy(made, v.queues)
	}
	grants := uint64(0)
	for _, s := range st.pool.sums() {
		grants += s.Grants
	}
	if grants != visitors*visits {
		t.Errorf("%d grants are counted, not %d", grants, visitors*visits)
	}
	if len(made) < visits/10 {
		t.Errorf("only %d queues while they came and went", len(made))
	}
}
