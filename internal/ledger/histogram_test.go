package ledger

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAQuantileIsOffByAtMostThreePerCent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour/time.Microsecond)), 1, 200).Draw(t, "latencies")
		q := rapid.Float64Range(0, 1).Draw(t, "quantile")
		var h Histogram
		for _, u := range us {
			h.Add(time.Duration(u) * time.Microsecond)
		}
		slices.Sort(us)
		rank := min(max(int(q*float64(len(us))), 1), len(us))
		exact := time.Duration(us[rank-1]) * time.Microsecond
		got := h.Quantile(q)
		const share = 32
		if got < exact || got > exact+exact/share+time.Microsecond {
			t.Fatalf("quantile %v is %v, exactly %v", q, got, exact)
		}
	})
}

func TestMergedHistogramsCountAsOne(t *testing.T) {
	var a, b, both Histogram
	for i := range 1000 {
		d := time.Duration(i*i) * time.Microsecond
		both.Add(d)
		if i%3 == 0 {
			a.Add(d)
		} else {
			b.Add(d)
		}
	}
	a.Merge(&b)
	if a != both {
		t.Error("the merged histogram differs")
	}
}

func TestAnEmptyHistogramHasNoQuantile(t *testing.T) {
	var h Histogram
	if h.Quantile(0.99) != 0 || h.Max() != 0 || h.Count() != 0 {
		t.Error("an empty histogram shows figures")
	}
	h.Add(500 * time.Hour)
	if h.Quantile(0.5) != 500*time.Hour {
		t.Errorf("a latency past the last bucket is %v", h.Quantile(0.5))
	}
}
