//go:build linux

package reactor

import (
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	gaugeInterval = int64(10 * time.Millisecond)    // shortest time over which the busy fraction is measured
	gaugeMemory   = float64(100 * time.Millisecond) // the time after which an old measurement counts for 1/e
	publishPause  = int64(time.Millisecond)         // shortest time between two publications of the counters
)

// Counters tells what a loop has done since it started.
type Counters struct {
	Turns    uint64 // rounds of wait, deliver, timers, tasks
	Events   uint64 // events delivered, wake-ups included
	Waits    uint64 // system calls that looked for events
	Sleeps   uint64 // those of them that might block
	Wakes    uint64 // ends of a wait by a post from outside
	Receives uint64 // system calls that received or looked
	Sends    uint64 // system calls that sent
	Controls uint64 // system calls that changed what is watched
	Tasks    uint64 // tasks run
	Timers   uint64 // timers that ran out
	Looks    uint64 // looks for peers that have vanished
	Blocked  uint64 // times the kernel did not take all of an output
	Panics   uint64 // panics in handlers, tasks and timers
	BytesIn  uint64 // bytes handed to Received
	BytesOut uint64 // bytes accepted by the kernel
	Attached uint64 // connections on the loop now
}

// published is what other goroutines see of the counters.
type published struct {
	values [16]atomic.Uint64
	at     int64 // loop only
}

func (c *Counters) fields() [16]*uint64 {
	return [...]*uint64{
		&c.Turns, &c.Events, &c.Waits, &c.Sleeps, &c.Wakes, &c.Receives, &c.Sends, &c.Controls, &c.Tasks, &c.Timers, &c.Looks,
		&c.Blocked, &c.Panics, &c.BytesIn, &c.BytesOut, &c.Attached,
	}
}

// Stats returns the loop's counters as they were at most about ten milliseconds of its work ago. Any goroutine.
func (l *Loop) Stats() Counters {
	var c Counters
	for i, field := range c.fields() {
		*field = l.published.values[i].Load()
	}
	return c
}

func (l *Loop) publish(now int64) {
	l.published.at = now
	l.roomy = runtime.GOMAXPROCS(0) > len(l.reactor.loops)
	for i, field := range l.count.fields() {
		l.published.values[i].Store(*field)
	}
}

// gauge measures the fraction of time that a loop works, as a moving average: the processor time of its thread. A loop that
// is awake but has to wait for a processor is not busy: on a machine that has none to spare a second loop would only cost more.
type gauge struct {
	windowStart int64
	spent       int64        // processor time of the loop's thread at windowStart, in nanoseconds
	processor   func() int64 // what it is now

	level     atomic.Uint64 // bits of a float64
	updatedAt atomic.Int64
}

func (g *gauge) start(now int64, processor func() int64) {
	g.processor = processor
	g.windowStart, g.spent = now, processor()
	g.updatedAt.Store(now)
}

// measure closes the window if it is long enough.
func (g *gauge) measure(now int64) {
	span := now - g.windowStart
	if span < gaugeInterval {
		return
	}
	spent := g.processor()
	worked := min(spent-g.spent, span) // the two clocks are not read at once
	g.windowStart, g.spent = now, spent
	old := math.Float64frombits(g.level.Load())
	g.level.Store(math.Float64bits(blend(old, float64(worked)/float64(span), span)))
	g.updatedAt.Store(now)
}

// threadTime returns the processor time of the thread that runs the caller, in nanoseconds.
func threadTime() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0 // it cannot fail; a loop would look idle
	}
	return ts.Nano()
}

// blend lets a new measurement over a span count as much as the span is long.
func blend(old, now float64, span int64) float64 {
	weight := math.Exp(-float64(span) / gaugeMemory)
	return old*weight + now*(1-weight)
}

// Busy returns the fraction of time, 0 to 1, that the loop was not waiting: a moving average over about 100 ms. Any
// goroutine.
func (l *Loop) Busy() float64 {
	level := math.Float64frombits(l.gauge.level.Load())
	span := l.reactor.Now() - l.gauge.updatedAt.Load()
	if span < gaugeInterval {
		return level
	}
	if l.asleep.Load() {
		return blend(level, 0, span)
	}
	return blend(level, 1, span)
}
