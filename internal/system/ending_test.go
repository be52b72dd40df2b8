package system

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// endStage is a router with a client in a transaction, one that is idle, and a console, about to end.
func endStage(t *testing.T, c *testcluster.Cluster, limits string) *pauseStage {
	t.Helper()
	p := &pauseStage{t: t, cluster: c, router: testrouter.Example(t, c, consoleConfig+"[limits]\n"+limits)}
	p.busy, p.other, p.watch = p.open(p.router.Write, "app", ""), p.open(p.router.Write, "app", ""), p.open(p.router.Write, "pgrouter", "")
	p.must(p.busy, "begin")
	p.must(p.other, "select 1")
	return p
}

// ready asks the router whether it wants clients.
func (p *pauseStage) ready() (int, string) {
	p.t.Helper()
	resp, err := http.Get("http://" + p.router.Admin + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Error(err)
	}
	return resp.StatusCode, string(said)
}

// closed reports whether nobody is let in any more.
func (p *pauseStage) closed() bool {
	conn, err := pgconn.Connect(p.t.Context(), p.cluster.DSN(p.router.Write, testcluster.AppUser, "app"))
	if err == nil {
		conn.Close(context.Background())
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func (p *pauseStage) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.router.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pauseStage) mustEnd(status int) {
	p.t.Helper()
	if got := p.router.End(); got != status {
		p.t.Errorf("exit status %d, want %d\n%s", got, status, p.router.Tail())
	}
}

// TestTheDrainLetsWorkEnd: by each of the ways to ask for it. The console watches, and holds up nothing.
func TestTheDrainLetsWorkEnd(t *testing.T) {
	c := sharedCluster(t)
	for name, ask := range map[string]func(p *pauseStage){
		"SIGTERM":                   func(p *pauseStage) { p.signal(syscall.SIGTERM) },
		"SIGINT":                    func(p *pauseStage) { p.signal(syscall.SIGINT) },
		"SHUTDOWN WAIT_FOR_SERVERS": func(p *pauseStage) { p.must(p.watch, "SHUTDOWN WAIT_FOR_SERVERS") },
	} {
		t.Run(name, func(t *testing.T) {
			p := endStage(t, c, "")
			ask(p)
			if got := lastWords(t, p.other); got != "57P01" {
				t.Errorf("who is idle: %s", got)
			}
			if status, said := p.ready(); status != 503 {
				t.Errorf("/readyz: %d %s", status, said)
			}
			if !p.closed() {
				t.Error("clients are let in")
			}
			p.must(p.watch, "show version")
			p.must(p.busy, "select 1")
			p.must(p.busy, "commit")
			if got := lastWords(t, p.busy); got != "57P01" {
				t.Errorf("who was at work: %s", got)
			}
			p.mustEnd(0)
		})
	}
}

// TestADrainThatCutsWorkOffSaysSo: because its time is over, or because nobody wants to wait. Each client hears what became of its
// work.
func TestADrainThatCutsWorkOffSaysSo(t *testing.T) {
	for _, tc := range []struct {
		name, limits  string
		first, second func(p *pauseStage)
		status        int
	}{
		{"in time", "shutdown_timeout = \"300ms\"\n", func(p *pauseStage) { p.signal(syscall.SIGTERM) }, nil, 3},
		{"a second SIGTERM", "", func(p *pauseStage) { p.signal(syscall.SIGTERM) }, func(p *pauseStage) { p.signal(syscall.SIGTERM) }, 3},
		{"SIGQUIT", "", func(p *pauseStage) { p.signal(syscall.SIGINT) }, func(p *pauseStage) { p.signal(syscall.SIGQUIT) }, 3},
		{"SHUTDOWN", "", func(p *pauseStage) { p.signal(syscall.SIGTERM) }, func(p *pauseStage) { p.must(p.watch, "SHUTDOWN") }, 3},
		{"SIGQUIT alone", "", func(p *pauseStage) { p.signal(syscall.SIGQUIT) }, nil, 0}, // as it was asked for
		{"SHUTDOWN alone", "", func(p *pauseStage) { p.must(p.watch, "SHUTDOWN") }, nil, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := endStage(t, sharedCluster(t), tc.limits) // where nobody writes any more who was cut off before
			writer := p.open(p.router.Write, "app", "")
			p.must(writer, "create table if not exists cut(n int)")
			const write = "insert into cut select 1 from pg_sleep(600)"
			wrote := p.begin(writer, write)
			p.works(write)
			tc.first(p)
			if got := lastWords(t, p.other); got != "57P01" {
				t.Errorf("who is idle: %s", got)
			}
			if tc.second != nil {
				tc.second(p)
			}
			if err := <-wrote; code(err) != "08007" {
				t.Errorf("who writes: %v", err)
			}
			if got := lastWords(t, p.busy); got != "57P01" {
				t.Errorf("who is in a transaction: %s", got)
			}
			p.mustEnd(tc.status)
		})
	}
}

// TestWaitForClientsLetsClientsLeaveByThemselves: those that are in go on as if nothing were.
func TestWaitForClientsLetsClientsLeaveByThemselves(t *testing.T) {
	c := sharedCluster(t)
	for _, hurried := range []bool{false, true} {
		p := endStage(t, c, "")
		p.must(p.watch, "SHUTDOWN WAIT_FOR_CLIENTS")
		p.router.Await("nobody is let in", time.Minute, p.closed)
		p.must(p.busy, "commit")
		for range 3 {
			p.must(p.busy, "select 1")
			p.must(p.other, "select 1")
		}
		if status, said := p.ready(); status != 503 {
			t.Errorf("/readyz: %d %s", status, said)
		}
		if hurried {
			p.signal(syscall.SIGTERM)
			for _, conn := range []*pgconn.PgConn{p.busy, p.other} {
				if got := lastWords(t, conn); got != "57P01" {
					t.Errorf("who is idle: %s", got)
				}
			}
		} else {
			p.busy.Close(t.Context())
			p.must(p.other, "select 1")
			p.other.Close(t.Context())
		}
		p.mustEnd(0)
	}
}

// TestDrainDelayLetsClientsInUntilItIsOver: what stands in front sees the 503 first. It is over by itself, or because nobody wants to wait.
func TestDrainDelayLetsClientsInUntilItIsOver(t *testing.T) {
	c := sharedCluster(t)
	p := endStage(t, c, "drain_delay = \"300ms\"\n")
	p.must(p.busy, "commit")
	p.signal(syscall.SIGTERM)
	for _, conn := range []*pgconn.PgConn{p.busy, p.other} {
		if got := lastWords(t, conn); got != "57P01" {
			t.Errorf("after a short delay: %s", got)
		}
	}
	p.mustEnd(0)

	p = endStage(t, c, "drain_delay = \"10m\"\n")
	p.must(p.busy, "commit")
	p.signal(syscall.SIGTERM)
	p.router.Await("it is not ready", time.Minute, func() bool { status, _ := p.ready(); return status == 503 })
	late := p.open(p.router.Write, "app", "")
	p.must(late, "select 1")
	p.must(p.other, "select 1")
	p.signal(syscall.SIGTERM)
	for _, conn := range []*pgconn.PgConn{late, p.busy, p.other} {
		if got := lastWords(t, conn); got != "57P01" {
			t.Errorf("when the delay is given up: %s", got)
		}
	}
	p.mustEnd(0)
}

func TestSignalsPauseAndResumeAll(t *testing.T) {
	c := sharedCluster(t)
	p := endStage(t, c, "")
	p.signal(syscall.SIGUSR1)
	p.router.Await("the door is closed", time.Minute, func() bool { return p.hold() == "paused" })
	late := p.begin(p.other, "select 1")
	p.router.Await("new work waits", time.Minute, func() bool { return cell(t, p.watch, "SHOW POOLS", "cl_waiting") == "1" })
	p.must(p.busy, "commit")
	mustWait(t, late)
	p.signal(syscall.SIGUSR2)
	if err := <-late; err != nil {
		t.Error(err)
	}
	p.signal(syscall.SIGUSR1) // a drain does not wait for a RESUME
	p.router.Await("the door is closed", time.Minute, func() bool { return p.hold() == "paused" })
	p.signal(syscall.SIGTERM)
	p.mustEnd(0)
}

func TestAWrongCommandLineIsExitStatusTwo(t *testing.T) {
	var exit *exec.ExitError
	if err := exec.CommandContext(t.Context(), testrouter.Binary(t), "rum").Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("%v", err)
	}
}
