package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// How long a proxy may take to serve its first query, and to end.
const (
	startLimit = 15 * time.Second
	stopLimit  = 5 * time.Second
)

// site is what the proxies of one benchmark share.
type site struct {
	dir      string // of the benchmark
	database string // host:port of PostgreSQL
	pool     int
}

// proxy is a running proxy. Its owner calls stop.
type proxy struct {
	label   string
	version string
	address string // host:port
	pid     int
	logPath string
	exited  chan struct{} // closed by the reaper
	process *os.Process
}

// command says how to start a proxy.
type command struct {
	args    []string // program first
	version []string // prints the version
	folder  string   // for its log
	account *syscall.Credential
	address string
	label   string
}

// start starts the proxy and waits until a query has gone through it.
func (s spec) start(ctx context.Context, where site, name string) (*proxy, error) {
	folder := filepath.Join(where.dir, name)
	if err := os.Mkdir(folder, 0o755); err != nil {
		return nil, err
	}
	var c command
	var err error
	if s.kind == "router" {
		c, err = s.router(where, folder)
	} else {
		c, err = s.bouncer(where, folder)
	}
	if err != nil {
		return nil, err
	}
	c.label, c.folder = s.kind, folder
	p, err := c.start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s, err)
	}
	if err := p.await(ctx); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (c command) start(ctx context.Context) (*proxy, error) {
	p := &proxy{label: c.label, address: c.address, logPath: filepath.Join(c.folder, "log"), exited: make(chan struct{})}
	if out, err := exec.CommandContext(ctx, c.version[0], c.version[1:]...).Output(); err == nil {
		p.version = firstLine(string(out))
	}
	log, err := os.Create(p.logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.account, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.process, p.pid = cmd.Process, cmd.Process.Pid
	go p.reap(cmd)
	return p, nil
}

// reap ends with the process, which stop ends.
func (p *proxy) reap(cmd *exec.Cmd) {
	_ = cmd.Wait() // why it ended is in its log
	close(p.exited)
}

// stop ends the proxy and waits for its end.
func (p *proxy) stop() {
	_ = p.process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopLimit):
		_ = p.process.Kill()
		<-p.exited
	}
}

// saveProfile stops the proxy, which then has written its CPU profile, and moves that to path.
func (p *proxy) saveProfile(path string) error {
	p.stop()
	b, err := os.ReadFile(filepath.Join(filepath.Dir(p.logPath), profileName))
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// await waits until a query goes through the proxy.
func (p *proxy) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	const pause = 50 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		err := p.query(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended at its start:\n%s", p.label, p.logTail())
		case <-ctx.Done():
			return fmt.Errorf("%s at %s does not serve: %w\n%s", p.label, p.address, err, p.logTail())
		case <-ticker.C:
		}
	}
}

func (p *proxy) query(ctx context.Context) error {
	dsn := fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", testcluster.AppUser, p.address, testcluster.DefaultDatabase)
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "SELECT 1").ReadAll()
	return errors.Join(err, conn.Close(ctx))
}

func (p *proxy) logTail() string {
	b, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	return tail(string(b))
}

// servant returns the account that programs run as which refuse to be root; nil when this process is not root.
func servant() (*syscall.Credential, error) {
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
