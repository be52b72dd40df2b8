package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/event"
)

// awaitWaiting waits until somebody waits for connections to become fewer.
func (w *world) awaitWaiting() {
	for w.pool.drained.waiting.Load() == nil || len(*w.pool.drained.waiting.Load()) == 0 {
		runtime.Gosched()
	}
}

func TestAPauseIsOverWithTheLastConnectionInUseAndLeavesNoneOpen(t *testing.T) {
	w, c := opened(t, 2, 3, 4)
	for _, x := range c {
		x.acquire()
	}
	w.dialAll()
	c[2].release(Clean) // c[3] has it now, on another loop or on its way there
	w.runTasks()
	c[0].release(Clean)
	p := w.pause("db", time.Hour)
	w.runTasks()
	if got := w.node("a"); got.Idle != 0 || got.Linked != 2 || w.closedFor(closedPaused) != 1 {
		t.Fatalf("after PAUSE %+v, %d closed", got, w.closedFor(closedPaused))
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Wait(context.Background()) }()
	w.awaitWaiting()
	c[2].acquire() // waits behind the door
	c[1].release(Clean)
	select {
	case err := <-ended:
		t.Fatalf("the wait ends with one connection in use: %v", err)
	default:
	}
	c[3].release(Dirty)
	w.runTasks()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := w.node("a"); got.Idle+got.Linked+got.Resetting != 0 || c[2].server != nil || w.reason(c[2]) != event.HoldPaused {
		t.Errorf("paused: %+v, the waiter: %s", got, w.reason(c[2]))
	}
	w.unpause("db")
	w.dialAll()
	if c[2].server == nil {
		t.Error("RESUME serves nobody")
	}
}

func TestAWaitForAPauseTellsHowManyAreLeftAndLooksAtItsDatabaseOnly(t *testing.T) {
	w, c := opened(t, 1, 2, 1)
	c[0].acquire()
	w.dialAll()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.pause("other", time.Hour).Wait(ctx); err != nil {
		t.Errorf("another database: %v", err)
	}
	var busy *BusyError
	for _, database := range []string{"db", ""} {
		if err := w.pause(database, time.Hour).Wait(ctx); !errors.As(err, &busy) || busy.Left != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("database %q: %v", database, err)
		}
	}
}

func TestAWaitForAPauseEndsWithTheResume(t *testing.T) {
	w, c := opened(t, 1, 2, 1)
	c[0].acquire()
	w.dialAll()
	for _, database := range []string{"db", ""} {
		p := w.pause(database, time.Hour)
		ended := make(chan error, 1)
		go func() { ended <- p.Wait(context.Background()) }()
		w.awaitWaiting()
		w.unpause(database)
		if err := <-ended; !errors.Is(err, ErrResumed) {
			t.Errorf("database %q: %v", database, err)
		}
	}
}

func TestAConnectionThatOpensWhileItsDatabaseIsPausedIsNotKept(t *testing.T) {
	w, c := opened(t, 1, 2, 1)
	c[0].acquire()
	w.dialOK(0) // it is on the way to its loop
	w.pause("", time.Hour)
	w.runTasks()
	if got := w.node("a"); got.Idle+got.Linked+got.Dialing != 0 || w.closedFor(closedLate) != 1 {
		t.Errorf("%+v, %d came too late", got, w.closedFor(closedLate))
	}
	w.unpause("")
	w.dialAll()
	if c[0].server == nil {
		t.Error("RESUME serves nobody")
	}
}

func TestAConnectionOnItsWayBetweenTwoLoopsIsClosedByAPause(t *testing.T) {
	w, c := opened(t, 2, 1, 2)
	c[0].acquire()
	w.dialAll()
	c[1].acquire()
	c[0].release(Clean) // it goes to the other loop
	if got := w.node("a"); got.Linked != 1 || c[1].server != nil {
		t.Fatalf("it does not move: %+v", got)
	}
	w.pause("db", time.Hour)
	w.runTasks()
	if got := w.node("a"); got.Idle+got.Linked != 0 || w.closedFor(closedPaused) != 1 || w.reason(c[1]) != event.HoldPaused {
		t.Errorf("%+v, %d closed, the waiter: %s", got, w.closedFor(closedPaused), w.reason(c[1]))
	}
	w.unpause("db")
	w.dialAll()
	if c[1].server == nil {
		t.Error("RESUME serves nobody")
	}
}

// heard lists the events of databases that there have been.
func (w *world) heard() string {
	var all []string
	for _, e := range w.events {
		switch e.Kind {
		case event.DatabasePaused, event.DatabaseResumed, event.PauseExpired, event.ServersReconnected:
			all = append(all, fmt.Sprintf("%s %q %s %d", e.Kind, e.Database, e.Took, e.Count))
		default:
		}
	}
	w.events = nil
	return strings.Join(all, "; ")
}

func TestAPauseEndsByItselfAndSaysSoToWhoWaits(t *testing.T) {
	w, c := opened(t, 1, 2, 2)
	c[0].acquire()
	w.dialAll()
	p := w.pause("db", time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- p.Wait(context.Background()) }()
	w.awaitWaiting()
	c[1].acquire()
	w.elapse(59 * time.Second)
	w.sweep()
	if !w.pool.Paused("db") || w.reason(c[1]) != event.HoldPaused {
		t.Fatal("it ends too early")
	}
	w.elapse(time.Second)
	w.sweep()
	w.dialAll()
	if err := <-ended; !errors.Is(err, ErrPauseOver) {
		t.Errorf("the wait: %v", err)
	}
	if w.pool.Paused("db") || c[1].server == nil {
		t.Error("it does not end")
	}
	if got, want := w.heard(), `database_paused "db" 1m0s 0; pause_expired "db" 1m0s 0`; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	w.unpause("db") // too late: nothing
	if got := w.heard(); got != "" {
		t.Errorf("events %s", got)
	}
}

// TestADatabaseIsPausedAsLongAsAnybodyWantsIt: two operators pause, and what one takes back is still paused for the other.
func TestADatabaseIsPausedAsLongAsAnybodyWantsIt(t *testing.T) {
	for _, tc := range []struct {
		name          string
		first, second string
		end           func(w *world, first, second *Pause)
		want          bool
		over          error
		events        string
	}{
		{"the second is taken back", "db", "db", func(_ *world, _, second *Pause) { second.Undo() }, true, nil, ""},
		{"the second of all is taken back", "db", "", func(_ *world, _, second *Pause) { second.Undo() }, true, nil, `database_resumed "*" 0s 0`},
		{"the first is taken back, all are paused", "db", "", func(_ *world, first, _ *Pause) { first.Undo() }, true, ErrUndone, ""},
		{"the first expires", "db", "db", func(w *world, _, _ *Pause) { w.elapse(time.Minute); w.sweep() }, true, ErrPauseOver, ""},
		{"both expire", "db", "db", func(w *world, _, _ *Pause) { w.elapse(time.Hour); w.sweep() }, false, ErrPauseOver, `pause_expired "db" 1h0m0s 0`},
		{"a RESUME ends both", "db", "db", func(w *world, _, _ *Pause) { w.pool.Unpause("db") }, false, ErrResumed, `database_resumed "db" 0s 0`},
		{"a RESUME of one leaves all", "db", "", func(w *world, _, _ *Pause) { w.pool.Unpause("db") }, true, ErrResumed, ""},
		{"a RESUME of all ends one", "db", "", func(w *world, _, _ *Pause) { w.pool.Unpause("") }, false, ErrResumed, `database_resumed "db" 0s 0; database_resumed "*" 0s 0`},
		{"a RESUME of another", "db", "db", func(w *world, _, _ *Pause) { w.pool.Unpause("other") }, true, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, _ := opened(t, 1, 1, 0)
			first := w.pool.Pause(tc.first, time.Minute)
			second := w.pool.Pause(tc.second, time.Hour)
			w.heard()
			tc.end(w, first, second)
			if got := w.heard(); got != tc.events {
				t.Errorf("events %s, want %s", got, tc.events)
			}
			if got := w.pool.Paused("db"); got != tc.want {
				t.Errorf("paused: %v", got)
			}
			if err := first.Wait(context.Background()); !errors.Is(err, tc.over) || tc.over == nil && err != nil {
				t.Errorf("the first: %v", err)
			}
		})
	}
}
