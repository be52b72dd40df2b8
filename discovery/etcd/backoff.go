package etcd

import (
	"math/rand/v2"
	"time"
)

// The pauses after failures.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// backoff is the pause after the last failure in a row; 0 = there was none.
type backoff time.Duration

// next doubles the pause and returns it, shortened by up to a half, by chance: routers that lost the same etcd shall not come back as one.
func (b *backoff) next() time.Duration {
	*b = backoff(min(max(2*time.Duration(*b), firstPause), longestPause))
	half := time.Duration(*b) / 2
	return half + rand.N(half) //nolint:gosec // spreads load, keeps no secret
}
