package ledger

import (
	"math/bits"
	"time"
)

const (
	subBits    = 5 // 32 buckets per power of two: at most 3 % off
	subBuckets = 1 << subBits
	octaves    = 32 // up to 2^37 µs, more than a day
	buckets    = subBuckets * (octaves + 1)
)

// Histogram counts latencies in microseconds with an error of at most 3 %. The zero value is empty. It has no lock.
type Histogram struct {
	counts [buckets]uint32
	n      uint64
	max    time.Duration
}

// Add counts one latency.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(uint64(max(0, d.Microseconds())))]++
	h.n++
	h.max = max(h.max, d)
}

// Merge adds what another histogram counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// Count returns how many latencies were counted.
func (h *Histogram) Count() uint64 { return h.n }

// Max returns the longest.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the latency that the share q (0…1) of all does not exceed; 0 when nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q * float64(h.n))
	rank = min(max(rank, 1), h.n)
	var seen uint64
	for i, n := range h.counts {
		seen += uint64(n)
		if seen >= rank && i < buckets-1 { // the last bucket has no end
			return min(upper(i), h.max)
		}
	}
	return h.max
}

// bucket: below 2·32 µs one bucket per microsecond, above it 32 per power of two.
func bucket(us uint64) int {
	if us < 2*subBuckets {
		return int(us)
	}
	shift := bits.Len64(us) - subBits - 1
	return min(buckets-1, shift<<subBits+int(us>>shift))
}

// upper returns the largest latency of a bucket.
func upper(i int) time.Duration {
	if i < 2*subBuckets {
		return time.Duration(i) * time.Microsecond
	}
	shift := i>>subBits - 1
	mantissa := uint64(i&(subBuckets-1) | subBuckets)
	return time.Duration((mantissa+1)<<shift-1) * time.Microsecond
}
