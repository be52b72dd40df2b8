package pool

import (
	"context"
	"errors"
	"testing"
)

func TestReconnectClosesWhatNobodyUsesAtOnceAndTheRestAtItsRelease(t *testing.T) {
	w, c := opened(t, 2, 4, 3)
	for _, x := range c {
		x.acquire()
	}
	w.dialAll()
	c[2].release(Clean)
	old := c[1].server
	w.rounds++
	if left := w.pool.Reconnect("db"); left != 2 {
		t.Errorf("%d are left in use", left)
	}
	w.runTasks()
	if got := w.node("a"); got.Idle != 0 || got.Linked != 2 || w.closedFor(closedReconnect) != 1 {
		t.Fatalf("%+v, %d closed", got, w.closedFor(closedReconnect))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var busy *BusyError
	if err := w.pool.WaitClose(ctx, "db"); !errors.As(err, &busy) || busy.Left != 2 {
		t.Errorf("WAIT_CLOSE: %v", err)
	}
	if err := w.pool.WaitClose(ctx, "other"); err != nil {
		t.Errorf("WAIT_CLOSE of another database: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- w.pool.WaitClose(context.Background(), "") }()
	w.awaitWaiting()
	c[1].release(Clean)
	c[2].acquire() // gets another one
	w.dialAll()
	if c[2].server == nil || c[2].server == old {
		t.Fatal("who comes is not served by a new connection")
	}
	c[0].release(Dirty)
	w.runTasks()
	if err := <-ended; err != nil {
		t.Errorf("WAIT_CLOSE: %v", err)
	}
	if got := w.closedFor(closedReconnect); got != 3 {
		t.Errorf("%d closed", got)
	}
}

func TestAConnectionThatWasBeingOpenedBeforeReconnectIsNotKept(t *testing.T) {
	w, c := opened(t, 1, 2, 1)
	c[0].acquire()
	w.rounds++
	w.pool.Reconnect("")
	w.dialOK(0)
	w.runTasks()
	if c[0].server != nil || w.closedFor(closedLate) != 1 || len(w.dials) != 1 {
		t.Fatalf("served: %v, %d too late, %d dials", c[0].server != nil, w.closedFor(closedLate), len(w.dials))
	}
	w.dialAll()
	if c[0].server == nil {
		t.Error("who waits is not served")
	}
}
