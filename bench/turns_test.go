package main

import (
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

func TestOneLoadRunsWhileTheOtherIsStopped(t *testing.T) {
	var turns turns
	a, b := sleeper(t), sleeper(t)
	turns.next(0)
	turns[0].started(a)
	turns[1].started(b) // too late for its own turn
	await(t, b, syscall.WaitStatus.Stopped)
	still := turns[1].ran()
	turns.next(1)
	await(t, a, syscall.WaitStatus.Stopped)
	await(t, b, syscall.WaitStatus.Continued)
	if turns[1].ran() <= still {
		t.Error("the clock of a running load stands")
	}
	if ran := turns[0].ran(); ran == 0 || ran != turns[0].ran() {
		t.Error("the clock of a stopped load runs, or it has never run")
	}
	turns.begin()()
	await(t, a, syscall.WaitStatus.Continued)
	if turns[1].stopped { // of it the kernel need not tell: it may never have stopped
		t.Error("a load is left stopped")
	}
}

func TestALoadThatHasEndedIsLeftAlone(t *testing.T) {
	var turns turns
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
