//go:build linux

package reactor

import (
	"math"
	"time"
)

const (
	// TimerTick is the resolution of a loop's timers: they fire up to one tick and one turn late, never early.
	TimerTick = 8 * time.Millisecond

	wheelSlots = 512 // one revolution: 4.096 s; longer timers stay in their slot
	never      = math.MaxInt64
)

// Expirer is told that a timer has run out. The timer is not armed any more and may be armed again at once.
type Expirer interface{ Expired(l *Loop, t *Timer) }

// Timer is a deadline on a loop. It is meant to be a field of what it guards: arming it does not allocate. The zero value is
// ready after SetTarget. An armed timer must be disarmed before its owner moves to another loop.
type Timer struct {
	next, prev *Timer
	list       *timerList // where it is armed; nil: nowhere
	tick       int64
	target     Expirer
}

// SetTarget says who is told. It must be called before the first Arm.
func (t *Timer) SetTarget(x Expirer) { t.target = x }

// Armed says whether the timer is running.
func (t *Timer) Armed() bool { return t.list != nil }

// Arm lets t run out `after` from the start of this turn; if it was armed, it is moved. Loop only.
func (l *Loop) Arm(t *Timer, after time.Duration) {
	l.wheel.arm(t, l.now, after)
}

// ArmBy lets t run out `after` from the start of this turn at the latest: armed already for an earlier moment, it stays as it
// is. It is for a deadline that is mostly not reached and set again and again. Loop only.
func (l *Loop) ArmBy(t *Timer, after time.Duration) {
	l.wheel.armBy(t, l.now, after)
}

// Disarm stops t. It is safe to call at any time: a timer that is disarmed does not fire, even if it was due in this turn.
// Loop only.
func (l *Loop) Disarm(t *Timer) { l.wheel.remove(t) }

// timerList is one slot of the wheel, or the timers that are due.
type timerList struct {
	head, tail *Timer
	min        int64 // no timer in the list is due before this tick; it may be lower than the lowest
}

func (tl *timerList) push(t *Timer) {
	t.list, t.prev, t.next = tl, tl.tail, nil
	if tl.tail == nil {
		tl.head = t
	} else {
		tl.tail.next = t
	}
	tl.tail = t
	tl.min = min(tl.min, t.tick)
}

func (tl *timerList) remove(t *Timer) {
	if t.prev == nil {
		tl.head = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		tl.tail = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.list, t.prev, t.next = nil, nil, nil
	if tl.head == nil {
		tl.min = never
	}
}

// wheel is a hashed timer wheel: arming and disarming are O(1); the whole wheel is looked through only at a tick at which
// something may be due.
type wheel struct {
	slots [wheelSlots]timerList
	due   timerList
	next  int64 // nothing is due before this tick
	armed int
}

func (w *wheel) init() {
	w.next, w.due.min = never, never
	for i := range w.slots {
		w.slots[i].min = never
	}
}

func (w *wheel) arm(t *Timer, now int64, after time.Duration) {
	w.remove(t)
	t.tick = tickAfter(now, after)
	w.slots[t.tick%wheelSlots].push(t)
	w.next = min(w.next, t.tick)
	w.armed++
}

func (w *wheel) armBy(t *Timer, now int64, after time.Duration) {
	if t.list == nil || t.tick > tickAfter(now, after) {
		w.arm(t, now, after)
	}
}

// tickAfter returns the first tick that is not before now+after, and not now.
func tickAfter(now int64, after time.Duration) int64 {
	const tick = int64(TimerTick)
	at := now + max(int64(after), 0)
	if at < now { // overflow: as good as never
		at = never - tick
	}
	return max((at+tick-1)/tick, now/tick+1)
}

func (w *wheel) remove(t *Timer) {
	if t.list == nil {
		return
	}
	t.list.remove(t)
	w.armed--
	if w.armed == 0 {
		w.next = never
	}
}

// collect moves the timers that are due at the tick to the due list, in the order of their deadlines, and finds the next.
func (w *wheel) collect(tick int64) {
	first := w.next
	w.next = never
	for i := range int64(wheelSlots) {
		slot := &w.slots[(first+i)%wheelSlots]
		if slot.min <= tick {
			w.collectSlot(slot, tick)
		}
		w.next = min(w.next, slot.min)
	}
}

func (w *wheel) collectSlot(slot *timerList, tick int64) {
	lowest := int64(never)
	for t := slot.head; t != nil; {
		following := t.next
		if t.tick <= tick {
			slot.remove(t)
			w.due.push(t)
		} else {
			lowest = min(lowest, t.tick)
		}
		t = following
	}
	slot.min = lowest
}

// wait returns how many nanoseconds from now on the loop may sleep; negative: until something else wakes it.
func (w *wheel) wait(now int64) int64 {
	if w.next == never {
		return -1
	}
	return max(w.next*int64(TimerTick)-now, 0)
}

// expireTimers calls the targets of all timers that are due.
func (l *Loop) expireTimers() {
	tick := l.now / int64(TimerTick)
	if tick < l.wheel.next {
		return
	}
	l.wheel.collect(tick)
	for t := l.wheel.due.head; t != nil; t = l.wheel.due.head {
		l.wheel.remove(t)
		l.count.Timers++
		l.callExpired(t)
		l.settle()
	}
}

func (l *Loop) callExpired(t *Timer) {
	defer l.recovered(nil)
	t.target.Expired(l, t)
}
