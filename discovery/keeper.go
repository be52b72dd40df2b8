package discovery

import (
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// keeperRetry is how long after a failure the keeper tries again to write the floor.
const keeperRetry = 5 * time.Second

// keeper writes the newest floor, on a goroutine of its own: a disk that hangs holds up nothing else.
type keeper struct {
	manager *Manager
	floors  chan topology.Floor // at most one, the newest
}

func newKeeper(m *Manager) *keeper {
	if m.store.dir == "" {
		m.deps.Logger.Warn("no state directory: the highest timeline is remembered in memory only, and after a restart an old primary may be taken for the only one")
	}
	return &keeper{manager: m, floors: make(chan topology.Floor, 1)}
}

// offer hands over a floor in place of an older one that was not written yet. Only Run's goroutine offers.
func (k *keeper) offer(floor topology.Floor) {
	select {
	case <-k.floors:
	default:
	}
	k.floors <- floor
}

// close lets run write what is left and end.
func (k *keeper) close() { close(k.floors) }

// run writes until close, and tries again after failures.
func (k *keeper) run() {
	retry := time.NewTicker(keeperRetry)
	defer retry.Stop()
	var unsaved *topology.Floor
	for {
		select {
		case floor, open := <-k.floors:
			if !open {
				k.save(unsaved)
				return
			}
			unsaved = k.save(&floor)
		case <-retry.C:
			unsaved = k.save(unsaved)
		}
	}
}

// save writes the floor, if any, and returns it when that failed.
func (k *keeper) save(floor *topology.Floor) *topology.Floor {
	if floor == nil {
		return nil
	}
	m := k.manager
	if err := m.store.save(*floor, time.Now()); err != nil {
		m.metrics.unsaved.Inc()
		m.deps.Logger.Warn("cannot write the floor", "error", err)
		return floor
	}
	return nil
}
