package testrouter

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Process is a router under test.
type Process struct {
	Write, Read, Admin string // host:port of the primary's door, the replicas', and the HTTP server

	t         testing.TB
	cmd       *exec.Cmd
	log       string
	dir       string
	place     *testcluster.Place // where it lives; nil: loopback
	args, env []string           // of its command line
	inherited []*os.File         // sockets
	ended     bool               // by the test, which has its exit status
}

// Options say how the router runs in front of a cluster.
type Options struct {
	Login   string // how clients prove who they are; scram-sha-256
	Pool    string // appended to [pool]
	Caps    string // appended to [limits]
	Cluster string // appended to [cluster.main]
	Loops   int    // event loops; 0: one fewer than processors
	Size    int    // of pools; 10
	More    string // appended to the configuration
	Limit   int    // of file descriptors; 0: the system's
}

const configText = `
[admin]
http = %[1]q
users = ["app"]
[auth]
method = %[11]q
user = "app"
password = "${TEST_APP_PASSWORD}"
[pool]
size = %[7]d
hold_timeout = "60s"
login_hold_timeout = "60s"
%[10]s
[limits]
loops = %[8]d
%[9]s
[cluster.main]
nodes = [%[2]s]
probe_user = "pgrouter"
probe_password = "${TEST_PROBE_PASSWORD}"
state_dir = %[3]q
demote_command = [%[4]q]
switchover_user = "pgrouter"
switchover_password = "${TEST_PROBE_PASSWORD}"
drain_timeout = "60s"
switch_timeout = "60s"
%[12]s
[[listener]]
address = %[5]q
route = "primary"
[[listener]]
address = %[6]q
route = "replica"
fallback = "primary"
`

// Start runs the router in front of a cluster, and waits until it can serve.
func Start(t testing.TB, c *testcluster.Cluster, o Options) *Process {
	t.Helper()
	p := Launch(t, c, o)
	p.awaitReady()
	return p
}

func (p *Process) awaitReady() {
	p.t.Helper()
	p.Await("the router is ready", time.Minute, func() bool {
		resp, err := http.Get("http://" + p.Admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// Launch runs the router in front of a cluster whose nodes need not run.
func Launch(t testing.TB, c *testcluster.Cluster, o Options) *Process {
	t.Helper()
	dir := t.TempDir()
	const size = 10
	o.Size, o.Login = cmp.Or(o.Size, size), cmp.Or(o.Login, "scram-sha-256")
	p := &Process{t: t, dir: dir, Write: FreeAddress(t), Read: FreeAddress(t), Admin: FreeAddress(t), log: filepath.Join(dir, "router.log")}
	var nodes []string
	for _, n := range c.Nodes() {
		nodes = append(nodes, strconv.Quote(n.Addr()))
	}
	text := fmt.Sprintf(configText, p.Admin, strings.Join(nodes, ", "), dir, demoteScript(t, dir, c), p.Write, p.Read, o.Size, o.Loops, o.Caps, o.Pool, o.Login, o.Cluster)
	path := filepath.Join(dir, "pgrouter.toml")
	if err := os.WriteFile(path, []byte(text+o.More), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{Binary(t), "run", "--config", path}
	if o.Limit > 0 {
		args = append([]string{"/bin/sh", "-c", fmt.Sprintf("ulimit -n %d; exec \"$@\"", o.Limit), "sh"}, args...)
	}
	p.args = args
	p.env = []string{"TEST_APP_PASSWORD=" + c.Role(testcluster.AppUser).Password, "TEST_PROBE_PASSWORD=" + c.Role(testcluster.ProbeUser).Password}
	p.run()
	return p
}

// run starts the process; it is stopped, and must end well, with the test.
func (p *Process) run() {
	p.t.Helper()
	p.begin()
	p.t.Cleanup(p.stop)
}

func (p *Process) begin() {
	p.t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Env = append(append(os.Environ(), "PGROUTER_VERIFY=1"), p.env...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.ExtraFiles = log, log, p.inherited
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.place.Start(p.cmd); err != nil {
		p.t.Fatal(err)
	}
}

// Again begins a new life of a router that has ended (End), and waits until it can serve.
func (p *Process) Again() {
	p.t.Helper()
	p.ended = false
	p.begin()
	p.awaitReady()
}

func (p *Process) stop() {
	if !p.ended {
		p.cmd.Process.Signal(syscall.SIGTERM)
		if status := p.End(); status != 0 {
			p.t.Errorf("the router ended with exit status %d\n%s", status, p.Tail())
		}
	}
	if p.t.Failed() {
		p.t.Logf("log of the router:\n%s", p.Tail())
	}
}

// End waits for the end of a router that was told to end, and returns its exit status.
func (p *Process) End() int {
	p.t.Helper()
	p.ended = true
	ended := make(chan struct{})
	go func() {
		_ = p.cmd.Wait() // its status says how
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		p.cmd.Process.Kill()
		p.t.Errorf("the router did not end\n%s", p.Tail())
		<-ended
	}
	return p.cmd.ProcessState.ExitCode()
}

// LogPath is where the router writes its log.
func (p *Process) LogPath() string { return p.log }

// Tail returns the end of the router's log.
func (p *Process) Tail() string {
	text := p.logged()
	const most = 6000
	return text[max(0, len(text)-most):]
}

// AwaitLog waits until the router has logged that: what it logs comes behind what it does, by a goroutine of its own.
func (p *Process) AwaitLog(text string) {
	p.t.Helper()
	p.Await("the log has "+text, time.Minute, func() bool { return strings.Contains(p.logged(), text) })
}

func (p *Process) logged() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Await polls until a condition holds.
func (p *Process) Await(what string, limit time.Duration, is func() bool) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	over := time.After(limit)
	for !is() {
		select {
		case <-tick.C:
		case <-over:
			p.t.Fatalf("it did not come to pass that %s\n%s", what, p.Tail())
		}
	}
}

// Metrics reads /metrics: sums over all labels, by name.
func (p *Process) Metrics() map[string]float64 {
	p.t.Helper()
	resp, err := http.Get("http://" + p.Admin + "/metrics")
	if err != nil {
		p.t.Fatalf("metrics: %v\n%s", err, p.Tail())
	}
	defer resp.Body.Close()
	sums := make(map[string]float64)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		name, _, _ := strings.Cut(line[:at], "{")
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			sums[name] += v
		}
	}
	return sums
}

// Switchover asks for a planned one.
func (p *Process) Switchover(ctx context.Context, to string) error {
	body := fmt.Sprintf(`{"cluster":"main","to":%q}`, to)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Admin+"/api/v1/switchover", bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, text.String())
	}
	return nil
}

// Descriptors counts what the process has open.
func (p *Process) Descriptors() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(entries)
}

// Resident returns the process' memory in bytes.
func (p *Process) Resident() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// FreeAddress returns a loopback address that nobody listens on at this moment.
func FreeAddress(t testing.TB) string {
	t.Helper()
	address, err := testcluster.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// freeAddress returns an address of the router's host that nobody listens on.
func (p *Process) freeAddress() string {
	p.t.Helper()
	_, port, _ := strings.Cut(FreeAddress(p.t), ":")
	return p.place.Host() + ":" + port
}

// demoteScript stops whichever node is the old primary.
func demoteScript(t testing.TB, dir string, c *testcluster.Cluster) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("#!/bin/sh\ncase \"$PGROUTER_NODE\" in\n")
	for _, n := range c.Nodes() {
		fmt.Fprintf(&b, "%s) %s ;;\n", n.Addr(), n.StopCommand())
	}
	b.WriteString("*) exit 1 ;;\nesac\n")
	path := filepath.Join(dir, "demote")
	if err := os.WriteFile(path, []byte(b.String()), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// Signal sends the router a signal.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }
