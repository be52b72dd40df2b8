package pool

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAWaitIsCountedWithinAnEighthOfItsLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(4*time.Minute)).Draw(t, "wait"))
		var counts waitCounts
		counts.note(d)
		var w Waits
		for i := range w {
			w[i] = counts[i].Load()
		}
		if got := w.Longest(); got <= d || got > d+max(d/waitSteps, waitUnit) || got != w.Percent99() {
			t.Fatalf("%s is told as %s, and as %s", d, got, w.Percent99())
		}
	})
}

func TestWaitsTellTheirNinetyNinthPercentAndWhatIsNew(t *testing.T) {
	var before, w Waits
	before[waitBucket(time.Hour)]++ // longer than what is told apart
	w = before
	if got := w.Since(&before); got.Longest() != 0 || got.Percent99() != 0 {
		t.Errorf("%s and %s of nothing", got.Longest(), got.Percent99())
	}
	w[waitBucket(10*time.Millisecond)] += 99
	w[waitBucket(3*time.Second)]++
	got := w.Since(&before)
	if p := got.Percent99(); p != 11*time.Millisecond {
		t.Errorf("99 of 100 waited up to %s", p)
	}
	if l := got.Longest(); l < 3*time.Second || l > 3400*time.Millisecond {
		t.Errorf("the longest waited %s", l)
	}
}
