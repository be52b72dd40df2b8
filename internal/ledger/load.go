package ledger

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	recentSlots = 8 // Live looks back over so many slots
	recentSlot  = 500 * time.Millisecond
	runLength   = 8
)

// Load is one run of the load. All methods may be called from any goroutine; Run once.
type Load struct {
	config  Config
	run     string
	clients []*client
	stop    chan struct{}
	once    sync.Once
	marks   atomic.Pointer[[]mark] // copied on write

	mu struct {
		sync.Mutex
		lastAck time.Time
		writes  []writeTimes // by window
		recent  [recentSlots]slot
	}
}

// slot holds the answers of one stretch of recentSlot.
type slot struct {
	number int64
	all    Histogram
}

// New makes a load; Run starts it. The first window is called "before".
func New(config Config) (*Load, error) {
	config = config.Defaults()
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l := &Load{config: config, run: rand.Text()[:runLength], stop: make(chan struct{})}
	l.marks.Store(&[]mark{{name: "before", at: time.Now()}})
	for n := range config.Clients {
		c, err := newClient(l, n)
		if err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
		l.clients = append(l.clients, c)
	}
	return l, nil
}

// RunID returns the value of the column "run" of all rows of this load.
func (l *Load) RunID() string { return l.run }

// Run drives the clients until Stop, which lets each end its operation, or until ctx ends, which breaks them off (their
// outcome is unknown then).
func (l *Load) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, c := range l.clients {
		group.Go(func() { c.run(ctx) })
	}
	group.Wait()
}

// Stop makes Run end when each client has ended what it is doing. It does not wait.
func (l *Load) Stop() { l.once.Do(func() { close(l.stop) }) }

// Mark begins a new window. Give event for the one in which something happens: all operations that it touched count there.
func (l *Load) Mark(name string, event bool) {
	for {
		old := l.marks.Load()
		next := append(append([]mark(nil), *old...), mark{name: name, event: event, at: time.Now()})
		if l.marks.CompareAndSwap(old, &next) {
			return
		}
	}
}

func (l *Load) window() int { return len(*l.marks.Load()) - 1 }

// attribute returns the window in which an operation counts that began in the given one and ends now.
func (l *Load) attribute(began int) int {
	marks := *l.marks.Load()
	for i := began; i < len(marks); i++ {
		if marks[i].event {
			return i
		}
	}
	return len(marks) - 1
}

func (l *Load) interval() time.Duration {
	if l.config.Rate == 0 {
		return 0
	}
	return time.Duration(float64(time.Second) * float64(l.config.Clients) / l.config.Rate)
}

// sleep waits; it reports false when the load is to end.
func (l *Load) sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-l.stop:
		return false
	default:
	}
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-l.stop:
	}
	return false
}

// answered books an operation that ended well for the live figures and, if it wrote, for the times of its window.
func (l *Load) answered(at time.Time, took time.Duration, write bool) {
	number := at.UnixNano() / int64(recentSlot)
	marks := *l.marks.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.mu.recent[number%recentSlots]
	if s.number != number {
		*s = slot{number: number}
	}
	s.all.Add(took)
	if !write {
		return
	}
	for len(l.mu.writes) < len(marks) {
		l.mu.writes = append(l.mu.writes, writeTimes{})
	}
	window := &l.mu.writes[len(marks)-1]
	if marks[len(marks)-1].event {
		window.acks = append(window.acks, at)
	}
	gap := Gap{From: l.mu.lastAck, To: at}
	if !gap.From.IsZero() && gap.Length() > window.gap.Length() {
		window.gap = gap
	}
	if at.After(l.mu.lastAck) {
		l.mu.lastAck = at
	}
}

// Live is what a screen shows of a running load.
type Live struct {
	PerSecond    float64 // answers, over the last seconds
	P50, P99     time.Duration
	Waiting      int           // operations in progress for longer than Config.Slow
	LongestWait  time.Duration // the longest of them
	Acknowledged int64
	Failed       int64
	Unknown      int64
	Reconnects   int64
	Held         int64
	Errors       map[string]int64
	LastWrite    time.Time // the last acknowledged write
}

// Live returns the figures of now.
func (l *Load) Live() Live {
	total := l.Total()
	now := time.Now()
	live := Live{
		Acknowledged: total.Acknowledged, Failed: total.Failed, Unknown: total.Unknown,
		Reconnects: total.Reconnects, Held: total.Held, Errors: total.Errors,
	}
	for _, c := range l.clients {
		if busy := c.busySince(); !busy.IsZero() && now.Sub(busy) >= l.config.Slow {
			live.Waiting++
			live.LongestWait = max(live.LongestWait, now.Sub(busy))
		}
	}
	recent := l.recent(now)
	live.P50, live.P99 = recent.Quantile(median), recent.Quantile(tail)
	live.PerSecond = float64(recent.Count()) / (float64(recentSlots-1) * recentSlot.Seconds())
	l.mu.Lock()
	defer l.mu.Unlock()
	live.LastWrite = l.mu.lastAck
	return live
}

// The quantiles that are shown.
const (
	median = 0.50
	tail   = 0.99
)

// recent merges the complete slots of the last seconds.
func (l *Load) recent(now time.Time) Histogram {
	number := now.UnixNano() / int64(recentSlot)
	var all Histogram
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.mu.recent {
		s := &l.mu.recent[i]
		if s.number < number && s.number > number-recentSlots {
			all.Merge(&s.all)
		}
	}
	return all
}

func (c *client) busySince() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.busy
}

// Windows returns the figures of every window so far.
func (l *Load) Windows() []Window {
	marks := *l.marks.Load()
	windows := make([]Window, len(marks))
	for i, m := range marks {
		windows[i].Name, windows[i].Begin = m.name, m.at
	}
	for _, c := range l.clients {
		c.mergeInto(windows)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range min(len(windows), len(l.mu.writes)) {
		windows[i].Gap, windows[i].Acks = l.mu.writes[i].gap, l.mu.writes[i].acks
	}
	return windows
}

func (c *client) mergeInto(windows []Window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, f := range c.mu.windows {
		if i < len(windows) {
			windows[i].Merge(f)
		}
	}
}

// Total returns the figures since the beginning.
func (l *Load) Total() Figures {
	var total Figures
	for _, w := range l.Windows() {
		total.Merge(&w.Figures)
	}
	return total
}
