//go:build linux

package reactor

import (
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"
)

// Loop is one event loop. Everything attached to it lives on its goroutine.
type Loop struct {
	id      int
	reactor *Reactor
	log     *slog.Logger
	engine  engine
	inbox   inbox
	looking atomic.Bool  // a look for silent peers is under way
	asleep  atomic.Bool  // the goroutine waits, or is about to; who takes it down must wake the engine
	wakers  atomic.Int32 // goroutines that may be waking the engine right now

	now     int64  // start of this turn, see Now
	many    bool   // the last wait found more than one event: what handlers send may be held for each other
	rush    int    // grows while waits find events at once, see wait
	waited  int64  // how long the waits that may block have taken since one of them found an event
	brisk   bool   // the next wait keeps its processor, see expect
	patient bool   // the last pause that was not short was waited out, or should have been
	roomy   bool   // the runtime has a processor that no loop can keep; looked at when the counters are published
	scratch []byte // what is received lies here until all that was sent in its turn has left
	wheel   wheel
	chunks  chunkStore

	slots     []slot
	freeSlots []int32

	unsettled []*Conn // have something to flush, a changed interest, a shutdown to do
	held      held
	notices   []*Conn // handlers to be called, oldest at noticed
	noticed   int

	pieces    [][]byte // what a sendmsg is made of
	count     Counters
	published published
	gauge     gauge
}

// slot is a place for a connection. A stale event carries the generation of a former tenant.
type slot struct {
	conn       *Conn
	generation int32
}

func newLoop(r *Reactor, id int) (*Loop, error) {
	l := &Loop{id: id, reactor: r, log: r.cfg.Logger, scratch: make([]byte, r.cfg.ScratchBytes)}
	l.held.kept = make([]byte, 0, keptBytes)
	l.wheel.init()
	e, err := newEpoll(l)
	if err != nil {
		return nil, err
	}
	l.engine = e
	return l, nil
}

// ID is the loop's index in Reactor.Loops. Any goroutine.
func (l *Loop) ID() int { return l.id }

// Reactor returns the reactor the loop belongs to. Any goroutine.
func (l *Loop) Reactor() *Reactor { return l.reactor }

// Now is the reactor's monotonic time in nanoseconds, read when this turn began. Loop only.
func (l *Loop) Now() int64 { return l.now }

// run is the loop's goroutine: turns until the reactor closes. It has a thread of its own: the scheduler interrupts it every
// ten milliseconds of work, and without that would mostly let another thread go on, on another processor, with cold caches.
func (l *Loop) run() {
	defer l.reactor.done.Done()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread() // else the thread ends too, and the kernel takes that for the end of whoever it has forked (PR_SET_PDEATHSIG)
	l.now = l.reactor.Now()
	l.gauge.start(l.now, threadTime)
	for l.turn() {
	}
	l.closeAll()
	l.publish(l.now)
}

// turn waits for something to do and does it. It returns false when the loop has ended.
func (l *Loop) turn() (goOn bool) {
	n := l.wait()
	l.many = n > 1
	l.count.Turns++
	if n > 0 {
		l.count.Events += uint64(n)
		l.engine.deliver(n)
	}
	l.expireTimers()
	goOn = l.runTasks()
	l.gauge.measure(l.now)
	if l.now-l.published.at >= gaugeInterval {
		l.publish(l.now)
	}
	return goOn
}

const (
	// atOnce is the longest time a blocking wait takes when it finds events without sleeping.
	atOnce = int64(2 * time.Microsecond)

	maxRush   = 4
	rushProbe = 2

	// Pauses between events, see expect: up to shortPause nobody is held up, and above longPause it costs less to give the processor back.
	shortPause = int64(time.Millisecond)
	longPause  = int64(100 * time.Millisecond)
)

// wait returns how many events there are, sleeping until there is something to do, and reads the clock.
//
// A look without blocking (0.27 µs when it finds something, on the machine where this was measured) is cheaper than a wait
// that may block (0.45 µs), but lost (0.15 µs) when the loop has to sleep anyway. So the loop looks first only while it is
// in a rush: while the last waits found events at once.
func (l *Loop) wait() (n int) {
	if l.rush >= rushProbe {
		if n = l.engine.wait(0, false); n > 0 {
			l.now = l.reactor.Now()
			return n
		}
		l.rush--
	}
	l.asleep.Store(true)
	before := l.now
	if l.many || l.rush > 0 || l.wheel.next != never { // else nobody asks when exactly the wait begins
		before = l.reactor.Now()
	}
	timeout := l.wheel.wait(before)
	if timeout == 0 || l.inbox.waiting.Load() > 0 {
		l.asleep.Store(false)
		n = l.engine.wait(0, false)
		l.now = l.reactor.Now()
	} else {
		n = l.sleep(before, timeout)
	}
	return n
}

// sleep is the wait that may block. It began at before, or a little later.
func (l *Loop) sleep(before, timeout int64) int {
	if before-l.published.at >= publishPause {
		l.publish(before)
	}
	n := l.engine.wait(timeout, l.brisk && l.roomy)
	l.asleep.Store(false)
	l.now = l.reactor.Now()
	l.count.Sleeps++
	l.expect(n, l.now-before)
	if l.now-before <= atOnce {
		l.rush = min(l.rush+1, maxRush)
	} else {
		l.rush = max(l.rush-1, 0)
	}
	return n
}

// expect guesses after a wait of the given length, which found n events, whether the next one keeps its processor, see engine.wait. That
// wins where events come soon. Where they do not it is interrupted every ten milliseconds, for 0.1 ms of CPU; but once the runtime has all its
// processors back, the next event wakes sysmon, which looks around every 20 µs for a while: such a pause costs 1.2 ms. So the loop waits
// out such a pause as the last one was. It is a guess: an event that a look without blocking finds does not end what was waited.
func (l *Loop) expect(n int, length int64) {
	l.waited += length
	if n == 0 {
		l.brisk = l.brisk && l.patient && l.waited <= longPause
		return
	}
	if l.waited > shortPause {
		l.patient = l.waited <= longPause
	}
	l.brisk = l.patient || l.waited <= shortPause
	l.waited = 0
}

// closeAll closes what is still attached; nobody is told.
func (l *Loop) closeAll() {
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil {
			c.Close()
		}
	}
	l.unsettled, l.notices, l.noticed = nil, nil, 0
}

// house gives c a slot.
func (l *Loop) house(c *Conn) {
	if n := len(l.freeSlots); n > 0 {
		c.slot = l.freeSlots[n-1]
		l.freeSlots = l.freeSlots[:n-1]
	} else {
		c.slot = int32(len(l.slots))
		l.slots = append(l.slots, slot{})
	}
	l.slots[c.slot].conn = c
	l.count.Attached++
}

// evict takes c's slot back; events under way for it are stale from now on.
func (l *Loop) evict(c *Conn) {
	s := &l.slots[c.slot]
	s.conn = nil
	s.generation++
	l.freeSlots = append(l.freeSlots, c.slot)
	l.count.Attached--
}

// tenant returns the connection an event is for; nil if it is stale.
func (l *Loop) tenant(index, generation int32) *Conn {
	if index < 0 || int(index) >= len(l.slots) || l.slots[index].generation != generation {
		return nil
	}
	return l.slots[index].conn
}

// mark lets settle look at c. What is held of it leaves before anything follows.
func (l *Loop) mark(c *Conn) {
	if c.held {
		l.letGo(c)
	}
	if !c.marked {
		c.marked = true
		l.unsettled = append(l.unsettled, c)
	}
}

// settle is the flush: first everything leaves that callbacks have sent, then, one by one and each followed by its own flush, those
// handlers are called that have to hear what came of it.
func (l *Loop) settle() {
	for {
		for i := range len(l.unsettled) {
			c := l.unsettled[i]
			c.marked, c.held = false, false
			l.settleConn(c)
		}
		clear(l.unsettled)
		l.unsettled = l.unsettled[:0]
		l.held.clear()
		c := l.nextNotice()
		if c == nil {
			return
		}
		l.tell(c)
	}
}

func (l *Loop) nextNotice() *Conn {
	if l.noticed == len(l.notices) {
		l.notices, l.noticed = l.notices[:0], 0
		return nil
	}
	c := l.notices[l.noticed]
	l.notices[l.noticed] = nil
	l.noticed++
	c.listed = false
	return c
}
