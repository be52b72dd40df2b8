package testcluster

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pollEvery = 10 * time.Millisecond // how often a state is looked at that nobody announces
	killLimit = 10 * time.Second      // for the kernel to take killed processes apart
)

// process is one life of a daemon. Its fields do not change; err may be read once exited is closed.
type process struct {
	pid    int
	exited chan struct{}
	err    error
}

func (p *process) reap(cmd *exec.Cmd) {
	p.err = cmd.Wait()
	close(p.exited)
}

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// wait waits for the end of the process, or of ctx.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// clean reports whether the process ended with status 0; to be asked after its end.
func (p *process) clean() bool { return p.err == nil }

// processesIn lists the processes whose working directory is dir or below it: a postmaster and all its children live in
// their data directory, in process groups of their own each.
func processesIn(dir string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil {
			continue
		}
		cwd = strings.TrimSuffix(cwd, " (deleted)")
		if cwd == dir || strings.HasPrefix(cwd, dir+"/") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// signalAll sends sig to every process in dir, again until no new one has appeared.
func signalAll(dir string, sig syscall.Signal) {
	seen := map[int]bool{}
	for {
		fresh := 0
		for _, pid := range processesIn(dir) {
			if seen[pid] {
				continue
			}
			seen[pid] = true
			if err := syscall.Kill(pid, sig); err == nil {
				fresh++
			}
		}
		if fresh == 0 {
			return
		}
	}
}

// killAll ends every process in dir with SIGKILL and waits until they are gone. The stop before it keeps a postmaster
// from noticing and acting on its children's deaths.
func killAll(dir string) {
	signalAll(dir, syscall.SIGSTOP)
	signalAll(dir, syscall.SIGKILL)
	ctx, cancel := context.WithTimeout(context.Background(), killLimit)
	defer cancel()
	// Only a process in the kernel's hands (a dead disk) outlives that; whoever comes next says so.
	_ = awaitNobody(ctx, dir)
}

// awaitNobody waits until no process is left in dir. Zombies have no directory any more.
func awaitNobody(ctx context.Context, dir string) error {
	return poll(ctx, func() (bool, error) { return len(processesIn(dir)) == 0, nil })
}

// removeSharedMemory removes the small System V segment of a postmaster that was killed and will not be started again.
// Its id stands in line 7 of postmaster.pid.
func removeSharedMemory(pidFile string) {
	content, err := os.ReadFile(pidFile)
	if err != nil {
		return
	}
	lines := strings.Split(string(content), "\n")
	const shmemLine = 6
	if len(lines) <= shmemLine {
		return
	}
	fields := strings.Fields(lines[shmemLine])
	if len(fields) != 2 {
		return
	}
	if id, err := strconv.Atoi(fields[1]); err == nil {
		// Best effort: the kernel keeps 56 bytes otherwise.
		_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	}
}

// poll asks done every pollEvery until it says yes, fails, or ctx ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	return pollAt(ctx, pollEvery, done)
}

func pollAt(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
