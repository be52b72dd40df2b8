package failover

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// stage is a world whose primary a:1 runs, with a conductor that runs, in the time of a bubble.
type stage struct {
	*world
	*testing.T
	c *Conductor
}

// play runs a test in a bubble.
func play(t *testing.T, cfg Config, more func(*Deps), act func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		w.publish("a:1", 1)
		s := &stage{world: w, T: t, c: conduct(t, w, cfg)}
		if more != nil {
			more(&s.c.deps)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.c.Run(ctx) }()
		synctest.Wait()
		act(s)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// doors is what the pool and the probes were told.
func (s *stage) doors() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, call := range s.calls {
		if slices.Contains([]string{"hold", "resume", "probe fast", "probe slow"}, call) {
			all = append(all, call)
		}
	}
	return strings.Join(all, ", ")
}

const (
	held     = "probe fast, hold"
	released = "probe fast, hold, resume, probe slow"
)

// after lets time pass and tells what the doors are like then.
func (s *stage) after(d time.Duration, want string) {
	s.Helper()
	<-time.After(d)
	synctest.Wait()
	if got := s.doors(); got != want {
		s.Errorf("after %s: %s, want %s", d, got, want)
	}
}

// hold orders one.
func (s *stage) hold(id string, lease time.Duration) {
	s.Helper()
	if h, err := s.c.Hold(s.Context(), HoldOrder{ID: id, By: "test", Lease: lease}); err != nil || !h.Drained || !h.Until.Equal(time.Now().Add(lease)) {
		s.Errorf("%+v, %v", h, err)
	}
}

// live publishes a primary in another life.
func (s *stage) live(primary topology.NodeID, epoch topology.Epoch, incarnation topology.Incarnation) {
	s.change(func(next *topology.Snapshot) {
		for i := range next.Nodes {
			next.Nodes[i].Incarnation = incarnation
		}
	}, primary, epoch)
}

func TestNothingIsHeldForEver(t *testing.T) {
	play(t, Config{}, nil, func(s *stage) {
		s.hold("x", 10*time.Second)
		s.after(5*time.Second, held)
		s.hold("x", 10*time.Second) // renews
		s.after(9*time.Second, held)
		s.hold("y", 3*time.Second) // beside it
		s.after(2*time.Second, held)
		s.after(2*time.Second, released)
		if len(s.c.Holds()) > 0 {
			s.Error(s.c.Holds())
		}
		want := []event.Kind{event.HoldBegun, event.HoldBegun, event.HoldEnded, event.HoldEnded}
		if !slices.Equal(s.events, want) {
			s.Error(s.events)
		}
	})
}

func TestAHoldEndsWithItsPurpose(t *testing.T) {
	for name, act := range map[string]func(s *stage){
		"another primary":             func(s *stage) { s.publish("b:1", 2) },
		"the same in another life":    func(s *stage) { s.publish("", 1); s.live("a:1", 1, 2) },
		"released":                    func(s *stage) { s.c.Release("x") },
		"all released":                func(s *stage) { s.c.Release("") },
		"the router goes":             func(s *stage) { _ = s.c.Close(s.Context()) },
		"while there was no primary":  func(s *stage) { s.publish("", 1); s.publish("b:1", 2) },
		"after a while without a one": func(s *stage) { s.publish("", 1); s.after(time.Second, held); s.live("a:1", 1, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, nil, func(s *stage) {
				s.hold("x", time.Minute)
				s.after(time.Second, held)
				act(s)
				s.after(time.Millisecond, released)
			})
		})
	}
}

func TestAHoldOutlivesWhatIsNotItsPurpose(t *testing.T) {
	play(t, Config{}, nil, func(s *stage) {
		s.hold("x", time.Minute)
		s.publish("", 1)
		s.publish("a:1", 1) // the same life: its probe was late
		s.c.Release("y")
		s.after(time.Second, held)
	})
}

// TestAnOlderPictureEndsNoHold: Run may be late. The primary of what it has seen last is another one than that of the hold, and an
// earlier one.
func TestAnOlderPictureEndsNoHold(t *testing.T) {
	w := &world{}
	picture := func(seq uint64, primary topology.NodeID) *topology.Snapshot {
		w.change(func(s *topology.Snapshot) { s.Seq = seq }, primary, topology.Epoch(seq))
		return w.Snapshot()
	}
	older := picture(1, "a:1")
	newer := picture(2, "b:1")
	c := conduct(t, w, Config{})
	if _, err := c.Hold(t.Context(), HoldOrder{ID: "x", By: "test", Lease: time.Minute}); err != nil {
		t.Fatal(err)
	}
	c.attend(older, time.Now())
	c.attend(newer, time.Now())
	if len(c.Holds()) != 1 {
		t.Fatal("the hold of a primary ended because there was another before")
	}
	c.attend(picture(3, "a:1"), time.Now())
	if len(c.Holds()) != 0 {
		t.Error("the hold outlives its purpose")
	}
}

// TestARequestIsForThePrimaryThatItNames: the new primary may be proven when Run begins the hold for the old one.
func TestARequestIsForThePrimaryThatItNames(t *testing.T) {
	w := &world{}
	asked := func(seq uint64) func(*topology.Snapshot) {
		return func(s *topology.Snapshot) { s.Seq, s.Asked = seq, topology.Request{Pending: true, From: "a:1"} }
	}
	w.change(asked(1), "a:1", 1)
	older := w.Snapshot()
	w.change(asked(2), "b:1", 2) // Patroni has not tidied up yet
	c := conduct(t, w, Config{HoldMax: time.Minute})
	c.attend(older, time.Now())
	if len(c.Holds()) != 1 {
		t.Fatal("nothing is held")
	}
	c.attend(w.Snapshot(), time.Now())
	if len(c.Holds()) != 0 {
		t.Error("the primary has moved, and all goes on being held")
	}
}

func TestAnOrderThatIsFaultyHoldsNothing(t *testing.T) {
	play(t, Config{}, nil, func(s *stage) {
		for want, o := range map[string]HoldOrder{
			"needs an ID":        {Lease: time.Second},
			"ends by itself":     {ID: "x"},
			"lease of 6m0s":      {ID: "x", Lease: 6 * time.Minute},
			"for running work":   {ID: "x", Lease: time.Second, Wait: -1},
			"of 1 to 128 bytes:": {ID: strings.Repeat("x", 129), Lease: time.Second},
		} {
			if _, err := s.c.Hold(s.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
				s.Errorf("%v, want %q", err, want)
			}
		}
		for i := range mostHolds {
			s.hold(strings.Repeat("x", i+1), time.Minute)
		}
		if _, err := s.c.Hold(s.Context(), HoldOrder{ID: "y", Lease: time.Second}); !errors.Is(err, ErrTooManyHolds) {
			s.Error(err)
		}
		if n := s.c.Release(""); n != mostHolds {
			s.Errorf("%d were released", n)
		}
		s.after(0, released)
	})
}

func TestAHoldTellsWhoIsInTheWay(t *testing.T) {
	play(t, Config{}, nil, func(s *stage) {
		s.setBusy(true)
		h, err := s.c.Hold(s.Context(), HoldOrder{ID: "x", Lease: time.Minute, Wait: 3 * time.Second})
		if err != nil || h.Drained || len(h.Blockers) != 2 || h.Blockers[0].Client != 7 {
			s.Errorf("%+v, %v", h, err)
		}
		s.after(0, held)
		time.AfterFunc(time.Second, func() { s.setBusy(false) })
		h, err = s.c.Hold(s.Context(), HoldOrder{ID: "x", Lease: time.Minute, Wait: 3 * time.Second})
		if err != nil || !h.Drained || len(h.Blockers) != 0 {
			s.Errorf("%+v, %v", h, err)
		}
	})
}

func TestWhoWaitsForAHoldThatEndsIsTold(t *testing.T) {
	play(t, Config{}, nil, func(s *stage) {
		s.setBusy(true)
		began := time.Now()
		time.AfterFunc(time.Second, func() { s.c.Release("x") })
		if _, err := s.c.Hold(s.Context(), HoldOrder{ID: "x", Lease: time.Minute, Wait: time.Minute}); !errors.Is(err, ErrHoldOver) || time.Since(began) > 2*time.Second {
			s.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// asks publishes a request to Patroni, or with the zero value that there is none.
func (s *stage) asks(r topology.Request) {
	s.change(func(next *topology.Snapshot) { next.Asked = r }, "a:1", 1)
}

func TestARequestToPatroniHolds(t *testing.T) {
	now := topology.Request{Pending: true, From: "a:1", To: "b:1"}
	for name, act := range map[string]func(s *stage){
		"until another primary is proven": func(s *stage) {
			s.asks(now)
			s.after(time.Second, held)
			s.publish("", 1)
			s.after(time.Second, held)
			s.publish("b:1", 2)
			s.after(0, released)
		},
		"until it is refused": func(s *stage) {
			s.asks(now)
			s.after(time.Second, held)
			s.asks(topology.Request{})
			s.after(0, released)
			s.asks(now) // another one
			s.after(0, released+", "+held)
		},
		"for a while, and once": func(s *stage) {
			s.asks(now)
			s.after(2*time.Second, held)
			s.after(2*time.Second, released)
			s.asks(now)
			s.after(time.Minute, released)
		},
		"when it is due": func(s *stage) {
			later := now
			later.At = time.Now().Add(time.Minute)
			s.asks(later)
			s.after(59*time.Second, "")
			s.after(2*time.Second, held)
			again := later
			again.At = later.At.In(time.FixedZone("elsewhere", 3600)) // the same moment
			s.asks(again)
			s.after(2500*time.Millisecond, released)
			s.after(time.Minute, released)
		},
		"not from a node that does not lead": func(s *stage) {
			s.asks(topology.Request{Pending: true, From: "b:1", To: "a:1"})
			s.after(time.Second, "")
		},
		"until an operator knows better": func(s *stage) {
			s.asks(now)
			s.after(time.Second, held)
			if n := s.c.Release("request"); n != 1 {
				s.Error(n)
			}
			s.after(time.Second, released)
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{HoldMax: 3 * time.Second, DrainTimeout: time.Second, SwitchTimeout: time.Second}, nil, act)
		})
	}
	t.Run("never when it shall not", func(t *testing.T) {
		play(t, Config{}, nil, func(s *stage) {
			s.asks(now)
			s.after(time.Second, "")
		})
	})
}

func TestARequestIsTheFirstSignOfItsFailover(t *testing.T) {
	play(t, Config{HoldMax: 3 * time.Second, DrainTimeout: time.Second, SwitchTimeout: time.Second}, nil, func(s *stage) {
		began := time.Now()
		s.asks(topology.Request{Pending: true, To: "b:1"})
		s.after(time.Second, held)
		s.publish("", 1)
		s.after(time.Second, held)
		s.publish("b:1", 2)
		s.after(time.Second, released)
		r := s.c.Reports()
		if len(r) != 1 || !r[0].FirstSignal.Equal(began) || !r[0].HoldStart.Equal(began) || r[0].Source != SourceRequest || !r[0].Planned || r[0].Warmed != 2 || r[0].Outcome != "switched_over" {
			s.Errorf("%+v", r)
		}
	})
}
