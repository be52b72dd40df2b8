package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopLimit is how long a program may take to end.
const stopLimit = 5 * time.Second

// TrixieVariable names the folder with a Debian 13 whose programs are the peers; trixieDefault is where scripts/setup-bench puts it.
const (
	TrixieVariable = "PGROUTER_TRIXIE"
	trixieDefault  = "/opt/trixie"
)

// Command says how to start a program.
type Command struct {
	Args    []string            // the program first
	Version []string            // prints its version
	Log     string              // file for what it prints
	Dir     string              // where it starts; "" = here
	Env     []string            // added to this process's
	Account *syscall.Credential // nil = as this process
}

// Process is a running program. Its owner calls Stop.
type Process struct {
	PID     int
	Version string // the first line of what it says
	log     string
	exited  chan struct{} // closed by the reaper
	process *os.Process
}

// Start starts the program.
func (c Command) Start(ctx context.Context) (*Process, error) {
	p := &Process{log: c.Log, Version: VersionOf(ctx, c.Version...), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, c.Dir
	cmd.Env = append(os.Environ(), c.Env...)
	// A session of its own, as from a service manager: the kernel shares the processors out between sessions (sched_autogroup), and no
	// proxy in service shares its part with its clients.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.Account, Pdeathsig: syscall.SIGKILL, Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.process, p.PID = cmd.Process, cmd.Process.Pid
	go p.reap(cmd)
	return p, nil
}

// reap ends with the process, which Stop ends.
func (p *Process) reap(cmd *exec.Cmd) {
	_ = cmd.Wait() // why it ended is in its log
	close(p.exited)
}

// Stop ends the program and waits for its end.
func (p *Process) Stop() {
	_ = p.process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopLimit):
		_ = p.process.Kill()
		<-p.exited
	}
}

// Exited is closed when the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// LogTail returns the last lines of what the program printed.
func (p *Process) LogTail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return Tail(string(b))
}

// OfTrixie returns how a program of the Debian 13 is started, with that one's own libraries. Its path is below usr, as in
// "sbin/pgbouncer".
func OfTrixie(path string) ([]string, error) {
	root := cmp.Or(os.Getenv(TrixieVariable), trixieDefault)
	name := filepath.Join(root, "usr", path)
	if _, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("no %s to compare with (scripts/setup-bench puts one there, %s says where): %w", filepath.Base(path), TrixieVariable, err)
	}
	loaders, err := filepath.Glob(filepath.Join(root, "usr/lib*/ld-linux*.so.*"))
	if err != nil {
		return nil, err
	}
	libraries, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu"))
	if err != nil {
		return nil, err
	}
	if len(loaders) == 0 || len(libraries) == 0 {
		return nil, fmt.Errorf("%s holds no loader or no libraries", root)
	}
	return []string{loaders[0], "--library-path", strings.Join(libraries, ":"), name}, nil
}

// Servant returns the account that programs run as which refuse to be root; nil when this process is not root.
func Servant() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// Tail returns the last lines of a text.
func Tail(s string) string {
	const most = 10
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
