package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

// pause is how long neither load runs when it becomes the other's turn. What is under way then comes to its end: a proxy's work belongs to
// the turn of its own load.
const pause = 10 * time.Millisecond

// turns lets two loads run in turn: one is stopped (SIGSTOP) while the other runs. Its owner calls begin and, at the end, the function that
// begin returns.
//
// What the machine's other guests do changes in seconds: two turns that follow each other mostly find the same machine, two runs of seconds
// do not, so turns are short. But a turn begins as no load does that goes on: all clients send at the same moment, and a proxy that
// has slept wakes up, which takes 20 to 120 ms until all is as it stays. Where that must not count turns are long, and rounds many.
type turns [2]stopwatch

// begin starts the goroutine that lets each load run for the length of a turn. The function that it returns ends that, and lets both run.
func (t *turns) begin(length time.Duration) (end func()) {
	var over sync.WaitGroup
	done := make(chan struct{})
	over.Go(func() {
		for who := 0; ; who = 1 - who {
			t[1-who].let(false)
			if !waits(pause, done) {
				return
			}
			t.next(who)
			if !waits(length, done) {
				return
			}
		}
	})
	return func() {
		close(done)
		over.Wait()
		for i := range t {
			t[i].let(true)
		}
	}
}

// waits returns false when it was over before the time was.
func waits(d time.Duration, over <-chan struct{}) bool {
	select {
	case <-time.After(d):
		return true
	case <-over:
		return false
	}
}

// next makes it the turn of one load.
func (t *turns) next(who int) {
	t[1-who].let(false)
	t[1-who].counts(false)
	t[who].counts(true)
	t[who].let(true)
}

// stopwatch stops a process, lets it go on, and knows for how long it has run, and what its proxy has used in its turns.
type stopwatch struct {
	meter func() (usage, error) // reads the proxy's meters; set before the first turn

	mu      sync.Mutex
	process *os.Process // nil before it is started
	stopped bool
	since   time.Time     // that it runs, unless it is stopped
	before  time.Duration // how long it ran before
	turn    bool          // what the proxy does belongs to the load
	from    usage         // by the proxy, when the turn began
	used    usage         // by the proxy, in the turns before
	fault   error         // of its meters
}

// started takes over a process that has begun to run. Where it is the other's turn it is stopped at once.
func (s *stopwatch) started(p *os.Process) {
	s.mu.Lock()
	s.process, s.since = p, time.Now()
	stopped := s.stopped
	s.stopped = false
	s.mu.Unlock()
	s.let(!stopped)
}

// let lets the process run or not. One that has ended is left alone.
func (s *stopwatch) let(run bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped != run {
		return
	}
	s.stopped = !run
	if s.process == nil {
		return
	}
	signal := syscall.SIGCONT
	if s.stopped {
		signal = syscall.SIGSTOP
		s.before += time.Since(s.since)
	} else {
		s.since = time.Now()
	}
	_ = s.process.Signal(signal) // refused by one that has ended alone
}

// counts begins or ends a turn: what the proxy does for itself while the other load runs is not its load's.
func (s *stopwatch) counts(turn bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn == turn {
		return
	}
	now, err := s.meter()
	if err != nil {
		s.fault = err
		return
	}
	if turn {
		s.from = now
	} else {
		s.used = s.used.plus(now.since(s.from))
	}
	s.turn = turn
}

// read returns for how long the load has run, and what the proxy has used in its turns.
func (s *stopwatch) read() (ran time.Duration, used usage, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ran, used, err = s.before, s.used, s.fault
	if !s.stopped && s.process != nil {
		ran += time.Since(s.since)
	}
	if s.turn && err == nil {
		var now usage
		now, err = s.meter()
		used = used.plus(now.since(s.from))
	}
	return ran, used, err
}
