package pool

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/pgrouter/pgrouter/event"
)

func TestAPauseIsOverWithTheLastConnectionInUseAndLeavesNoneOpen(t *testing.T) {
	w, c := opened(t, 2, 3, 4)
	for _, x := range c {
		x.acquire()
	}
	w.dialAll()
	c[2].release(Clean) // c[3] has it now, on another loop or on its way there
	w.runTasks()
	c[0].release(Clean)
	w.paused = true
	w.pool.Pause("db")
	w.runTasks()
	if got := w.node("a"); got.Idle != 0 || got.Linked != 2 || w.closedFor(closedPaused) != 1 {
		t.Fatalf("after PAUSE %+v, %d closed", got, w.closedFor(closedPaused))
	}
	ended := make(chan error, 1)
	go func() { ended <- w.pool.WaitPaused(context.Background(), "db") }()
	for w.pool.drained.waiting.Load() == nil || len(*w.pool.drained.waiting.Load()) == 0 {
		runtime.Gosched()
	}
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
	w.paused = false
	w.pool.Unpause("db")
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
	w.paused = true
	w.pool.Pause("other")
	w.pool.Pause("db")
	if err := w.pool.WaitPaused(ctx, "other"); err != nil {
		t.Errorf("another database: %v", err)
	}
	var busy *BusyError
	w.pool.Pause("")
	for _, database := range []string{"db", ""} {
		if err := w.pool.WaitPaused(ctx, database); !errors.As(err, &busy) || busy.Left != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("database %q: %v", database, err)
		}
	}
}

func TestAWaitForAPauseEndsWithTheResume(t *testing.T) {
	w, c := opened(t, 1, 2, 1)
	c[0].acquire()
	w.dialAll()
	for _, database := range []string{"db", ""} {
		w.pool.Pause(database)
		ended := make(chan error, 1)
		go func() { ended <- w.pool.WaitPaused(context.Background(), database) }()
		for w.pool.drained.waiting.Load() == nil || len(*w.pool.drained.waiting.Load()) == 0 {
			runtime.Gosched()
		}
		w.pool.Unpause(database)
		if err := <-ended; !errors.Is(err, ErrResumed) {
			t.Errorf("database %q: %v", database, err)
		}
	}
}

func TestAConnectionThatOpensWhileItsDatabaseIsPausedIsNotKept(t *testing.T) {
	w, c := opened(t, 1, 2, 1)
	c[0].acquire()
	w.dialOK(0) // it is on the way to its loop
	w.paused = true
	w.pool.Pause("")
	w.runTasks()
	if got := w.node("a"); got.Idle+got.Linked+got.Dialing != 0 || w.closedFor(closedLate) != 1 {
		t.Errorf("%+v, %d came too late", got, w.closedFor(closedLate))
	}
	w.paused = false
	w.pool.Unpause("")
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
	w.paused = true
	w.pool.Pause("db")
	w.runTasks()
	if got := w.node("a"); got.Idle+got.Linked != 0 || w.closedFor(closedPaused) != 1 || w.reason(c[1]) != event.HoldPaused {
		t.Errorf("%+v, %d closed, the waiter: %s", got, w.closedFor(closedPaused), w.reason(c[1]))
	}
	w.paused = false
	w.pool.Unpause("db")
	w.dialAll()
	if c[1].server == nil {
		t.Error("RESUME serves nobody")
	}
}
