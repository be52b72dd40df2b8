package testcluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// daemon is a program that runs in the background, one life at a time.
type daemon struct {
	account account
	dir     string         // it starts there
	log     string         // the file that its output is appended to
	place   *Place         // where it lives; nil: loopback
	onDeath syscall.Signal // what it gets when this process dies

	mu struct {
		sync.Mutex
		process *process // the current or last life; nil before the first start
		gone    bool     // the cluster is being closed: no further life
	}
}

// What starting a node answers beside the server's own failures.
var (
	ErrRunning = errors.New("the node runs already")
	ErrClosed  = errors.New("the cluster is closed")
)

// launch begins a life. A reaper waits for its end.
func (d *daemon) launch(program string, args ...string) (*process, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.process != nil && d.mu.process.alive() {
		return nil, ErrRunning
	}
	if d.mu.gone {
		return nil, ErrClosed
	}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(program, args...)
	d.account.prepare(cmd, d.dir, d.onDeath)
	cmd.Stdout, cmd.Stderr = log, log
	if err := d.place.Start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	d.mu.process = &process{pid: cmd.Process.Pid, exited: make(chan struct{})}
	go d.mu.process.reap(cmd)
	return d.mu.process, nil
}

// current returns the current or last life; nil before the first.
func (d *daemon) current() *process {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.process
}

// retire refuses any further life.
func (d *daemon) retire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.gone = true
}

// kill ends every process that lives in the daemon's directory, and waits for that.
func (d *daemon) kill() {
	killAll(d.dir)
	d.ended()
}

// ended waits for the end of a life that was killed.
func (d *daemon) ended() {
	if p := d.current(); p != nil {
		<-p.exited
	}
}

// tailOf returns the last lines of a log.
func tailOf(log string, lines int) string {
	content, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	return lastLines(string(content), lines)
}
