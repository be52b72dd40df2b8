//go:build linux

package reactor

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// timerFunc is a timer with a function.
type timerFunc struct {
	Timer
	f func(l *Loop)
}

func newTimer(f func(l *Loop)) *timerFunc {
	t := &timerFunc{f: f}
	t.SetTarget(t)
	return t
}

func (t *timerFunc) Expired(l *Loop, _ *Timer) { t.f(l) }

// ticks waits until n ticks have passed on the loop.
func ticks(t testing.TB, l *Loop, n int) {
	t.Helper()
	done := make(chan struct{})
	timer := newTimer(func(*Loop) { close(done) })
	on(t, l, func() { l.Arm(&timer.Timer, time.Duration(n)*TimerTick) })
	await(t, done, "a timer")
}

func TestTimersFireOnceInOrderAndNeverEarly(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	type firing struct {
		name      int
		late      time.Duration
		stillUsed bool
	}
	fired := make(chan firing, 10)
	on(t, l, func() {
		for _, i := range []int{5, 1, 3, 2, 4} {
			var timer *timerFunc
			start, after := l.Now(), time.Duration(i)*20*time.Millisecond
			timer = newTimer(func(l *Loop) {
				fired <- firing{i, time.Duration(l.Now()-start) - after, timer.Armed()}
			})
			l.Arm(&timer.Timer, time.Hour)
			l.Arm(&timer.Timer, after) // moved
		}
	})
	for want := 1; want <= 5; want++ {
		got := await(t, fired, "a timer")
		if got.name != want || got.late < 0 || got.stillUsed {
			t.Errorf("fired %+v, want %d", got, want)
		}
	}
	ticks(t, l, 3)
	if len(fired) > 0 {
		t.Error("a timer fired twice")
	}
}

func TestADisarmedTimerDoesNotFireEvenIfItWasDue(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	var timers []*timerFunc
	fired := make(chan int, 10)
	for i := range 5 {
		timers = append(timers, newTimer(func(l *Loop) {
			fired <- i
			for _, other := range timers {
				l.Disarm(&other.Timer)
			}
		}))
	}
	on(t, l, func() {
		for _, timer := range timers {
			l.Arm(&timer.Timer, time.Millisecond)
		}
	})
	await(t, fired, "a timer")
	ticks(t, l, 2)
	if len(fired) > 0 {
		t.Error("a timer fired that another one had disarmed")
	}
}

func TestATimerMayArmItselfAgain(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	rounds := 0
	done := make(chan struct{})
	var timer *timerFunc
	timer = newTimer(func(l *Loop) {
		if rounds++; rounds == 5 {
			close(done)
			return
		}
		l.Arm(&timer.Timer, 0)
	})
	on(t, l, func() { l.Arm(&timer.Timer, 0) })
	await(t, done, "five rounds")
}

func TestALoopWithoutArmedTimersSleepsWithoutEnd(t *testing.T) {
	r := newReactor(t, 1)
	l := r.Loops()[0]
	timer := newTimer(func(*Loop) {})
	on(t, l, func() {
		if got := l.wheel.wait(l.Now()); got >= 0 {
			t.Errorf("wait is %d with nothing armed", got)
		}
		l.Arm(&timer.Timer, time.Hour)
		if got := time.Duration(l.wheel.wait(l.Now())); got < time.Hour || got > time.Hour+2*TimerTick {
			t.Errorf("wait is %v with one hour armed: the loop would tick", got)
		}
		l.Disarm(&timer.Timer)
		l.Disarm(&timer.Timer)
		if got := l.wheel.wait(l.Now()); got >= 0 {
			t.Errorf("wait is %d after disarming", got)
		}
	})
}

// TestWheelFiresExactlyWhatIsDue compares the wheel with a plain list over random times.
func TestWheelFiresExactlyWhatIsDue(t *testing.T) {
	const tick = int64(TimerTick)
	rapid.Check(t, func(t *rapid.T) {
		var w wheel
		w.init()
		timers := make([]Timer, 8)
		model := map[int]int64{} // due at this tick
		now := rapid.Int64Range(0, 1e12).Draw(t, "start")
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			i := rapid.IntRange(0, len(timers)-1).Draw(t, "timer")
			what := rapid.IntRange(0, 3).Draw(t, "what")
			switch what {
			case 0, 3:
				after := rapid.Int64Range(-1, 3*wheelSlots*tick).Draw(t, "after")
				at := max((now+max(after, 0)+tick-1)/tick, now/tick+1)
				before, armed := model[i]
				if what == 0 {
					w.arm(&timers[i], now, time.Duration(after))
				} else if w.armBy(&timers[i], now, time.Duration(after)); armed {
					at = min(at, before)
				}
				model[i] = at
			case 1:
				w.remove(&timers[i])
				delete(model, i)
			case 2:
				now += rapid.Int64Range(0, 2*wheelSlots*tick).Draw(t, "pass")
				checkWheel(t, &w, timers, model, now)
			}
		}
	})
}

func checkWheel(t *rapid.T, w *wheel, timers []Timer, model map[int]int64, now int64) {
	at := now / int64(TimerTick)
	if at >= w.next {
		w.collect(at)
	}
	fired := map[*Timer]bool{}
	last := int64(0)
	for d := w.due.head; d != nil; d = w.due.head {
		w.remove(d)
		fired[d] = true
		last = max(last, d.tick)
	}
	lowest := int64(never)
	for i := range timers {
		due, armed := model[i]
		if want := armed && due <= at; fired[&timers[i]] != want {
			t.Fatalf("timer %d: fired %v, want %v (due %d, now %d)", i, !want, want, due, at)
		}
		if armed && due <= at {
			delete(model, i)
		} else if armed {
			lowest = min(lowest, due)
		}
	}
	if w.armed != len(model) || w.next > lowest || len(model) == 0 && w.next != never {
		t.Fatalf("%d armed, next %d; want %d, %d", w.armed, w.next, len(model), lowest)
	}
}
