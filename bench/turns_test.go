package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// sleeper starts a process that does nothing until the test ends.
func sleeper(t *testing.T) *os.Process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process
}

// await waits until the kernel has told that the process was stopped, or that it goes on.
func await(t *testing.T, p *os.Process, told func(syscall.WaitStatus) bool) {
	t.Helper()
	over := make(chan error, 1)
	go func() {
		for {
			var status syscall.WaitStatus
			_, err := syscall.Wait4(p.Pid, &status, syscall.WUNTRACED|syscall.WCONTINUED, nil)
			if err != nil || told(status) {
				over <- err
				return
			}
		}
	}()
	select {
	case err := <-over:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("waited in vain for a process to be stopped, or to go on")
	}
}

// unmetered is turns whose proxies use nothing.
func unmetered() *turns {
	idle := func() (usage, error) { return usage{}, nil }
	return &turns{{meter: idle}, {meter: idle}}
}

func TestOneLoadRunsWhileTheOtherIsStopped(t *testing.T) {
	turns := unmetered()
	a, b := sleeper(t), sleeper(t)
	turns.next(0)
	turns[0].started(a)
	turns[1].started(b) // too late for its own turn
	await(t, b, syscall.WaitStatus.Stopped)
	still := ran(t, turns, 1)
	turns.next(1)
	await(t, a, syscall.WaitStatus.Stopped)
	await(t, b, syscall.WaitStatus.Continued)
	if ran(t, turns, 1) <= still {
		t.Error("the clock of a running load stands")
	}
	if r := ran(t, turns, 0); r == 0 || r != ran(t, turns, 0) {
		t.Error("the clock of a stopped load runs, or it has never run")
	}
	turns.begin(defaultTurn)()
	await(t, a, syscall.WaitStatus.Continued)
	if turns[1].stopped { // of it the kernel need not tell: it may never have stopped
		t.Error("a load is left stopped")
	}
}

func TestALoadThatHasEndedIsLeftAlone(t *testing.T) {
	turns := unmetered()
	p := sleeper(t)
	turns[0].started(p)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	turns.next(1)
	turns.next(0)
}

func ran(t *testing.T, turns *turns, who int) time.Duration {
	t.Helper()
	ran, _, err := turns[who].read()
	if err != nil {
		t.Fatal(err)
	}
	return ran
}

func TestWhatAProxyDoesInTheOthersTurnDoesNotCount(t *testing.T) {
	meters := [2]usage{}
	turns := unmetered()
	for i := range turns {
		turns[i].meter = func() (usage, error) { return meters[i], nil }
	}
	use := func(who int, n uint64) {
		meters[who] = meters[who].plus(usage{clock: time.Duration(n), ticks: time.Duration(10 * n), switches: n})
	}
	use(0, 1000) // before the first turn
	turns.next(0)
	use(0, 1)
	use(1, 100)
	turns.next(1)
	use(0, 100)
	use(1, 2)
	turns.next(0)
	use(0, 4) // in a turn that is not over
	use(1, 100)
	for who, want := range []uint64{5, 2} {
		_, used, err := turns[who].read()
		if err != nil || used != (usage{clock: time.Duration(want), ticks: time.Duration(10 * want), switches: want}) {
			t.Errorf("proxy %d has used %+v (%v), want %d", who, used, err, want)
		}
	}
	broken := errors.New("no meter")
	turns[0].meter = func() (usage, error) { return usage{}, broken }
	turns.next(1)
	if _, _, err := turns[0].read(); !errors.Is(err, broken) {
		t.Errorf("a meter that fails is not told of: %v", err)
	}
}
