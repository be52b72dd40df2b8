package pool

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// Waits are long in a failover and short otherwise: eight buckets for each doubling, from a millisecond to some minutes.
const (
	waitUnit    = time.Millisecond
	waitBits    = 3 // log2 of the buckets for each doubling
	waitSteps   = 1 << waitBits
	waitBuckets = waitSteps * 17
)

// Waits tells how many units of work have waited for how long. It is a value; what is counted only grows.
type Waits [waitBuckets]uint64

// waitBucket returns where a wait is counted.
func waitBucket(d time.Duration) int {
	n := uint64(max(d, 0) / waitUnit)
	if n < waitSteps {
		return int(n)
	}
	shift := bits.Len64(n) - waitBits - 1
	return min(waitSteps*(shift+1)+int(n>>shift)-waitSteps, waitBuckets-1)
}

// waitLimit returns the end of a bucket: the waits that are counted there are shorter, by an eighth at most.
func waitLimit(bucket int) time.Duration {
	if bucket < waitSteps {
		return time.Duration(bucket+1) * waitUnit
	}
	shift := bucket/waitSteps - 1
	return time.Duration((bucket%waitSteps+waitSteps+1)<<shift) * waitUnit
}

// Since returns what was counted after an earlier moment.
func (w *Waits) Since(before *Waits) Waits {
	var d Waits
	for i := range w {
		d[i] = w[i] - before[i]
	}
	return d
}

// Longest returns how long the longest wait was, rounded up by an eighth at most; 0 without one.
func (w *Waits) Longest() time.Duration {
	for i := waitBuckets - 1; i >= 0; i-- {
		if w[i] > 0 {
			return waitLimit(i)
		}
	}
	return 0
}

// Percent99 returns what 99 of 100 waits did not exceed, rounded up by an eighth at most; 0 without one.
func (w *Waits) Percent99() time.Duration {
	const percent, all = 99, 100
	total := uint64(0)
	for _, n := range w {
		total += n
	}
	wanted, seen := (total*percent+all-1)/all, uint64(0)
	for i, n := range w {
		if seen += n; seen >= wanted && n > 0 {
			return waitLimit(i)
		}
	}
	return 0
}

// waitCounts are what Waits is a copy of.
type waitCounts [waitBuckets]atomic.Uint64

func (c *waitCounts) note(d time.Duration) { c[waitBucket(d)].Add(1) }

// WaitsOf tells how long units of work with Route Primary have waited for a server of a cluster, those that gave up
// included. Any goroutine.
func (p *Pool) WaitsOf(c topology.ClusterID) Waits {
	p.mu.Lock()
	counts := &p.clusterLocked(c).waits
	p.mu.Unlock()
	var w Waits
	for i := range w {
		w[i] = counts[i].Load()
	}
	return w
}
