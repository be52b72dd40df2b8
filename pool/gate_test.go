package pool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestTheGateLetsInSoManyAtOnceInTheOrderTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		entered := make(chan int, 5)
		for i := range 5 {
			go func() {
				if g.enter(t.Context(), 2) == nil {
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
				g.leave()
				synctest.Wait()
			}
			if got := <-entered; got != want {
				t.Fatalf("%d came in instead of %d", got, want)
			}
		}
		g.leave()
		g.leave()
		if g.mu.inside != 0 {
			t.Errorf("%d are left inside", g.mu.inside)
		}
	})
}

func TestWhoStopsWaitingAtTheGateTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		if err := g.enter(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.enter(ctx, 1) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		g.leave()
		if err := g.enter(t.Context(), 1); err != nil || g.mu.inside != 1 {
			t.Errorf("%v, %d inside", err, g.mu.inside)
		}
	})
}
