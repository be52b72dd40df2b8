//go:build soak

package soak

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
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

// process is a router under test.
type process struct {
	t           *testing.T
	cmd         *exec.Cmd
	log         string
	write, read string // host:port
	admin       string
}

const configText = `
[admin]
http = %[1]q
[auth]
method = "scram-sha-256"
user = "app"
password = "${SOAK_APP_PASSWORD}"
[pool]
size = 10
hold_timeout = "60s"
login_hold_timeout = "60s"
[limits]
loops = %[8]d
[cluster.main]
nodes = [%[2]s]
probe_user = "pgrouter"
probe_password = "${SOAK_PROBE_PASSWORD}"
state_dir = %[3]q
demote_command = [%[4]q]
switchover_user = "pgrouter"
switchover_password = "${SOAK_PROBE_PASSWORD}"
[[listener]]
address = %[5]q
route = "primary"
[[listener]]
address = %[6]q
route = "replica"
fallback = "primary"
[log]
level = %[7]q
`

// startProcess builds the binary and runs it in front of the cluster.
func startProcess(t *testing.T, c *testcluster.Cluster, loops int) *process {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "pgrouter")
	build := exec.Command("go", "build", "-o", binary, "github.com/pgrouter/pgrouter/cmd/pgrouter")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	p := &process{t: t, write: freeAddress(t), read: freeAddress(t), admin: freeAddress(t), log: filepath.Join(dir, "router.log")}
	path := filepath.Join(dir, "pgrouter.toml")
	var nodes []string
	for _, n := range c.Nodes() {
		nodes = append(nodes, strconv.Quote(n.Addr()))
	}
	text := fmt.Sprintf(configText, p.admin, strings.Join(nodes, ", "), dir, demoteScript(t, dir, c), p.write, p.read, "info", loops)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(binary, "run", "--config", path)
	p.cmd.Env = append(os.Environ(), "PGROUTER_VERIFY=1", "SOAK_APP_PASSWORD="+c.Role(testcluster.AppUser).Password,
		"SOAK_PROBE_PASSWORD="+c.Role(testcluster.ProbeUser).Password)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	p.await("the router is ready", time.Minute, func() bool {
		resp, err := http.Get("http://" + p.admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			p.t.Errorf("the router ended with %v\n%s", err, p.tail())
		}
	case <-time.After(time.Minute):
		p.cmd.Process.Kill()
		p.t.Errorf("the router did not end\n%s", p.tail())
	}
	if p.t.Failed() {
		p.t.Logf("log of the router:\n%s", p.tail())
	}
}

// tail returns the end of the router's log.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const most = 6000
	return string(b[max(0, len(b)-most):])
}

// await polls until a condition holds.
func (p *process) await(what string, limit time.Duration, is func() bool) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	over := time.After(limit)
	for !is() {
		select {
		case <-tick.C:
		case <-over:
			p.t.Fatalf("it did not come to pass that %s\n%s", what, p.tail())
		}
	}
}

// metrics reads /metrics: sums over all labels, by name.
func (p *process) metrics() map[string]float64 {
	p.t.Helper()
	resp, err := http.Get("http://" + p.admin + "/metrics")
	if err != nil {
		p.t.Fatalf("metrics: %v\n%s", err, p.tail())
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

// switchover asks for a planned one.
func (p *process) switchover(ctx context.Context, to string) error {
	body := fmt.Sprintf(`{"cluster":"main","to":%q}`, to)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.admin+"/api/v1/switchover", bytes.NewReader([]byte(body)))
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
	text.ReadFrom(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, text.String())
	}
	return nil
}

// descriptors counts what the process has open.
func (p *process) descriptors() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(entries)
}

// resident returns the process' memory in bytes.
func (p *process) resident() int64 {
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

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// demoteScript stops whichever node is the old primary.
func demoteScript(t *testing.T, dir string, c *testcluster.Cluster) string {
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
