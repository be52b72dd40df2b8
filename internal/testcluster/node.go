package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

const (
	dataName   = "data"
	logName    = "log"
	pidName    = "postmaster.pid"
	signalName = "standby.signal"
)

// Node is one PostgreSQL server of a cluster. All methods may be called from any goroutine, but starting, stopping and
// rejoining one node from two goroutines at once gives an error to one of them.
type Node struct {
	server
	cluster    *Cluster
	postmaster daemon
	writing    sync.Mutex // held while the settings' files are written; taken before mu

	mu struct {
		sync.Mutex
		upstream *Node             // whom it follows as a standby
		settings map[string]string // of this node only
	}
}

func newNode(c *Cluster, name string, port int) *Node {
	n := &Node{cluster: c, server: server{site: c.site, name: name, port: port, dir: filepath.Join(c.dir, name)}}
	// SIGQUIT is PostgreSQL's immediate shutdown: the postmaster takes its children along.
	n.postmaster = daemon{account: c.account, dir: n.dir, log: n.path(logName), onDeath: syscall.SIGQUIT}
	n.mu.settings = map[string]string{}
	return n
}

// Running reports whether the postmaster process exists, stopped by a signal or not.
func (n *Node) Running() bool {
	p := n.postmaster.current()
	return p != nil && p.alive()
}

// PID returns the postmaster's process id, or 0 when it does not run.
func (n *Node) PID() int {
	if p := n.postmaster.current(); p != nil && p.alive() {
		return p.pid
	}
	return 0
}

// Exited returns a channel that is closed when the postmaster's current life ends; closed already when it does not run.
func (n *Node) Exited() <-chan struct{} {
	if p := n.postmaster.current(); p != nil {
		return p.exited
	}
	never := make(chan struct{})
	close(never)
	return never
}

// StoppedCleanly reports whether the last life ended by an orderly shutdown (smart, fast) instead of a kill or crash.
func (n *Node) StoppedCleanly() bool {
	p := n.postmaster.current()
	return p != nil && !p.alive() && p.clean()
}

// Start starts the node as what it was: primary or standby. It returns when it accepts connections.
func (n *Node) Start(ctx context.Context) error {
	if n.Running() {
		return fmt.Errorf("start %v: %w", n, ErrRunning)
	}
	// Children of a killed postmaster may not have noticed yet: they hold its shared memory.
	if err := awaitNobody(ctx, n.dir); err != nil {
		return fmt.Errorf("start %v: processes of its last life remain: %w", n, err)
	}
	p, err := n.postmaster.launch(n.cluster.program("postgres"), "-D", n.DataDir())
	if err != nil {
		return fmt.Errorf("start %v: %w", n, err)
	}
	err = poll(ctx, func() (bool, error) {
		if !p.alive() {
			return false, fmt.Errorf("the server ended: %w: %s", orExit(p.err), n.LogTail(5))
		}
		return n.accepting(p.pid), nil
	})
	if err != nil {
		return fmt.Errorf("start %v: %w", n, err)
	}
	return nil
}

func orExit(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// accepting reads the state that the postmaster keeps in line 8 of its lock file, as pg_ctl does.
func (n *Node) accepting(pid int) bool {
	content, err := os.ReadFile(filepath.Join(n.DataDir(), pidName))
	if err != nil {
		return false
	}
	lines := strings.Split(string(content), "\n")
	const statusLine = 7
	return len(lines) > statusLine && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[statusLine]) == "ready"
}

// StopFast shuts the node down in order (SIGINT): sessions get FATAL 57P01, standbys receive the shutdown checkpoint.
func (n *Node) StopFast(ctx context.Context) error { return n.stop(ctx, syscall.SIGINT) }

// StopImmediate makes the node abort (SIGQUIT): it recovers at its next start.
func (n *Node) StopImmediate(ctx context.Context) error { return n.stop(ctx, syscall.SIGQUIT) }

func (n *Node) stop(ctx context.Context, sig syscall.Signal) error {
	p := n.postmaster.current()
	if p == nil || !p.alive() {
		return nil
	}
	if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop %v: %w", n, err)
	}
	if err := p.wait(ctx); err != nil {
		return fmt.Errorf("stop %v: %w", n, err)
	}
	return nil
}

// Kill9 kills the postmaster and every process of its with SIGKILL, as if the machine had lost its power while the
// kernel still answers for the sockets. It returns when they are gone.
func (n *Node) Kill9() {
	p := n.postmaster.current()
	if p == nil {
		return
	}
	killAll(n.dir)
	<-p.exited
}

// KillPostmaster kills only the postmaster with SIGKILL; its children notice by themselves and end, a busy one not
// before its statement is over.
func (n *Node) KillPostmaster() {
	if p := n.postmaster.current(); p != nil && p.alive() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
		<-p.exited
	}
}

// Stop freezes the postmaster and every process of its (SIGSTOP): the kernel goes on accepting connections and bytes,
// nobody answers. Cont ends it.
func (n *Node) Stop() { signalAll(n.dir, syscall.SIGSTOP) }

// Cont wakes what Stop froze.
func (n *Node) Cont() { signalAll(n.dir, syscall.SIGCONT) }

// Reload makes the server read its settings again.
func (n *Node) Reload() error {
	p := n.postmaster.current()
	if p == nil || !p.alive() {
		return nil
	}
	if err := syscall.Kill(p.pid, syscall.SIGHUP); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("reload %v: %w", n, err)
	}
	return nil
}

// Configure changes settings of this node only and makes the server read them; an empty value takes one back. What needs
// a restart waits for it.
func (n *Node) Configure(settings map[string]string) error {
	n.mu.Lock()
	for name, value := range settings {
		if value == "" {
			delete(n.mu.settings, name)
			continue
		}
		n.mu.settings[name] = value
	}
	n.mu.Unlock()
	if err := n.writeSettings(); err != nil {
		return err
	}
	return n.Reload()
}

func (n *Node) writeSettings() error {
	// One after the other, or an older version could come to lie over a newer one.
	n.writing.Lock()
	defer n.writing.Unlock()
	n.mu.Lock()
	content := n.settingsLocked()
	n.mu.Unlock()
	if err := n.cluster.account.replace(n.path("postgresql.conf"), content); err != nil {
		return fmt.Errorf("settings of %v: %w", n, err)
	}
	if err := n.cluster.account.replace(n.path("pg_hba.conf"), strings.Join(n.cluster.hba(), "\n")+"\n"); err != nil {
		return fmt.Errorf("pg_hba.conf of %v: %w", n, err)
	}
	return nil
}

// StopCommand returns the shell command that shuts the node down in order and waits for it, as an operator would write
// it into the router's configuration.
func (n *Node) StopCommand() string {
	return n.cluster.account.shell(n.cluster.program("pg_ctl"), "stop", "-D", n.DataDir(), "-m", "fast", "-w", "-t", "60")
}

// WaitStreaming waits until the node, as a standby, streams from primary.
func (n *Node) WaitStreaming(ctx context.Context, primary *Node) error {
	return primary.waitStreaming(ctx, n)
}

func (n *Node) waitStreaming(ctx context.Context, standby *Node) error {
	return n.pollQuery(ctx, "SELECT coalesce(bool_or(state = 'streaming'), false) FROM pg_stat_replication WHERE application_name = $1", standby.name)
}

// destroy ends the node for good.
func (n *Node) destroy() {
	ctx, cancel := context.WithTimeout(context.Background(), quitLimit)
	defer cancel()
	n.postmaster.retire()
	n.Cont()
	if err := n.StopImmediate(ctx); err != nil {
		n.cluster.options.Logger.Warn("node killed", "node", n.name, "error", err)
	}
	n.Kill9()
}
