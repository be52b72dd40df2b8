package pool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/pgrouter/pgrouter/topology"
)

func TestTheGateLetsInSoManyAtOnceInTheOrderTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		g.mu.allowed, g.mu.life = 2, 7
		entered := make(chan int, 5)
		for i := range 5 {
			go func() {
				if g.enter(t.Context(), 2, 7) == nil {
					entered <- i
				}
			}()
			synctest.Wait()
		}
		for want := range 5 {
			if want >= 2 {
				if len(entered) != 0 {
					t.Fatal("more than two are inside")
				}
				g.leave(dialWell)
				synctest.Wait()
			}
			if got := <-entered; got != want {
				t.Fatalf("%d came in instead of %d", got, want)
			}
		}
		g.leave(dialWell)
		g.leave(dialWell)
		if g.mu.inside != 0 {
			t.Errorf("%d are left inside", g.mu.inside)
		}
	})
}

func TestWhoStopsWaitingAtTheGateTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		if err := g.enter(t.Context(), 1, 7); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.enter(ctx, 1, 7) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		g.leave(dialWell)
		if err := g.enter(t.Context(), 1, 7); err != nil || g.mu.inside != 1 {
			t.Errorf("%v, %d inside", err, g.mu.inside)
		}
	})
}

// TestANodeInANewLifeIsMetGently: what follows a promotion is one dial, then two, then four; a failure halves that, and a refusal of
// one user changes nothing.
func TestANodeInANewLifeIsMetGently(t *testing.T) {
	var g gate
	burst := func(life topology.Incarnation) int {
		n := 0
		for g.ask(8, life) == nil {
			n++
		}
		g.mu.waiting = nil
		return n
	}
	end := func(n int, how dialResult) {
		g.leave(how)
		for range n - 1 {
			g.leave(dialUnmade)
		}
	}
	for i, step := range []struct {
		life topology.Incarnation
		want int
		how  dialResult
	}{
		{1, 1, dialWell}, {1, 2, dialWell}, {1, 4, dialWell}, {1, 8, dialWell}, {1, 8, dialBadly}, {1, 4, resultOf(permanent())}, {1, 4, resultOf(temporary())},
		{1, 2, dialWell}, {2, 1, dialBadly}, {2, 1, dialWell}, {2, 2, dialUnmade},
	} {
		n := burst(step.life)
		if n != step.want {
			t.Errorf("step %d: %d at once instead of %d", i, n, step.want)
		}
		end(n, step.how)
	}
}
