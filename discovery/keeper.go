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
	floors  chan unsaved // at most one, the newest
}

// unsaved is a floor that is to be written.
type unsaved struct {
	floor topology.Floor
	told  []chan<- error // who waits for that, once; each has room for the answer
}

func newKeeper(m *Manager) *keeper {
	if m.store.dir == "" {
		m.deps.Logger.Warn("no state directory: the highest timeline is remembered in memory only, and after a restart an old primary may be taken for the only one")
	}
	return &keeper{manager: m, floors: make(chan unsaved, 1)}
}

// offer hands over a floor in place of an older one that was not written yet, and who waits for that. Only Run's goroutine offers.
func (k *keeper) offer(floor topology.Floor, told ...chan<- error) {
	select {
	case older := <-k.floors:
		told = append(told, older.told...)
	default:
	}
	k.floors <- unsaved{floor, told}
}

// close lets run write what is left and end.
func (k *keeper) close() { close(k.floors) }

// run writes until close, and tries again after failures.
func (k *keeper) run() {
	retry := time.NewTicker(keeperRetry)
	defer retry.Stop()
	var left *topology.Floor
	for {
		select {
		case next, open := <-k.floors:
			if !open {
				k.retry(left)
				return
			}
			left = k.save(next)
		case <-retry.C:
			left = k.retry(left)
		}
	}
}

// retry writes what could not be written before, if anything.
func (k *keeper) retry(left *topology.Floor) *topology.Floor {
	if left == nil {
		return nil
	}
	return k.save(unsaved{floor: *left})
}

// save writes a floor, tells who waits for it, and returns it when that failed.
func (k *keeper) save(next unsaved) *topology.Floor {
	m := k.manager
	err := m.store.save(next.floor, time.Now())
	for _, told := range next.told {
		told <- err
	}
	if err == nil {
		return nil
	}
	m.metrics.unsaved.Inc()
	m.deps.Logger.Warn("cannot write the floor", "error", err)
	return &next.floor
}
