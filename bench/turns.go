package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

// slice is how long a load runs until it is the other's turn. What the machine's other guests do changes in seconds: two slices that follow
// each other mostly find the same machine, two runs of seconds do not.
const slice = 250 * time.Millisecond

// turns lets two loads run in turn: one is stopped (SIGSTOP) while the other runs. Its owner calls begin and, at the end, the function that
// begin returns.
type turns [2]stopwatch

// begin starts the goroutine that lets the loads take turns. The function that it returns ends that, and lets both run.
func (t *turns) begin() (end func()) {
	var over sync.WaitGroup
	done := make(chan struct{})
	over.Go(func() {
		ticker := time.NewTicker(slice)
		defer ticker.Stop()
		for who := 0; ; who = 1 - who {
			t.next(who)
			select {
			case <-ticker.C:
			case <-done:
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

// next makes it the turn of one load.
func (t *turns) next(who int) {
	t[1-who].let(false)
	t[who].let(true)
}

// stopwatch stops a process, lets it go on, and knows for how long it has run.
type stopwatch struct {
	mu      sync.Mutex
	process *os.Process // nil before it is started
	stopped bool
	since   time.Time     // that it runs, unless it is stopped
	before  time.Duration // how long it ran before
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

// ran returns for how long the process has run.
func (s *stopwatch) ran() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.process == nil {
		return s.before
	}
	return s.before + time.Since(s.since)
}
