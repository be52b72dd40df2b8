package admin

import (
	"context"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/proxy"
)

// statsPeriod is the time over which SHOW STATS averages, PgBouncer's stats_period.
const statsPeriod = time.Minute

// averages remembers the traffic at the two ends of the last period that is over. Only Average writes it.
type averages struct {
	mu struct {
		sync.Mutex
		older, newer map[string]proxy.Traffic // by database
		at           time.Time                // of newer
		period       time.Duration            // between them; 0 before the first period is over
	}
}

// Average looks at the traffic each period, until ctx ends.
func (a *Admin) Average(ctx context.Context) error {
	tick := time.NewTicker(statsPeriod)
	defer tick.Stop()
	a.averages.note(time.Now(), a.world.Traffic())
	for {
		select {
		case <-tick.C:
			a.averages.note(time.Now(), a.world.Traffic())
		case <-ctx.Done():
			return nil
		}
	}
}

// note ends a period.
func (v *averages) note(now time.Time, traffic []proxy.DatabaseTraffic) {
	sums := make(map[string]proxy.Traffic, len(traffic))
	for _, d := range traffic {
		sums[d.Database] = d.Traffic
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	m := &v.mu
	if !m.at.IsZero() {
		m.period = now.Sub(m.at)
	}
	m.older, m.newer, m.at = m.newer, sums, now
}

// last returns what was added to the traffic of a database in the last period, and how long that was; 0: none is over yet.
func (v *averages) last(database string) (proxy.Traffic, time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mu.period == 0 {
		return proxy.Traffic{}, 0
	}
	return v.mu.newer[database].Since(v.mu.older[database]), v.mu.period
}
