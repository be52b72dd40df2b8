//go:build patroni

package drill

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

const (
	hookGuide = "../../docs/switchover.md" // has the script that is tried here
	hookName  = "pgrouter-hold"            // what it is called there
	hookLog   = 1000                       // lines of a node's log that tell of its last stop
)

// hook is the script that Patroni runs before it stops PostgreSQL, beside the router's binary, where the servers' account finds both.
type hook struct {
	t   testing.TB
	dir string
}

func newHook(t testing.TB) *hook {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgrouter-hook") //nolint:usetesting // the servers' account has to come into it
	h := &hook{t: t, dir: dir}
	h.must(err)
	t.Cleanup(func() { h.must(os.RemoveAll(dir)) })
	h.must(os.Chmod(dir, 0o755))
	return h
}

func (h *hook) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// write writes a program that everybody may run.
func (h *hook) write(name string, content []byte) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	h.must(os.WriteFile(path, content, 0o600))
	h.must(os.Chmod(path, 0o755))
}

// command is the hook of a node. The script finds its server as any psql does that runs beside one.
func (h *hook) command(n *testcluster.PatroniNode) string {
	return fmt.Sprintf("env PATH=%s:%s PGHOST=%s PGPORT=%d PGUSER=%s %s",
		h.dir, os.Getenv("PATH"), n.SocketDir(), n.Port(), testcluster.SuperUser, filepath.Join(h.dir, hookName))
}

// cluster is one whose agents run the hook.
func (h *hook) cluster() testcluster.PatroniOptions {
	o := strict()
	o.BeforeStop = h.command
	return o
}

// asks writes the script of the guide, which asks these two routers for a hold, and the binary that it does so with.
func (h *hook) asks(first, second string) {
	h.t.Helper()
	guide, err := os.ReadFile(hookGuide)
	h.must(err)
	_, script, _ := strings.Cut(string(guide), "```sh\n")
	script, _, _ = strings.Cut(script, "```")
	for from, to := range map[string]string{"10.0.0.5:7000": first, "10.0.0.6:7000": second} {
		if !strings.Contains(script, "pgrouter hold --admin "+from) {
			h.t.Fatalf("the first script of %s asks no router at %s:\n%s", hookGuide, from, script)
		}
		script = strings.ReplaceAll(script, from, to)
	}
	h.write(hookName, []byte(script))
	binary, err := os.ReadFile(testrouter.Binary(h.t))
	h.must(err)
	h.write("pgrouter", binary)
}

// Patroni's REST interface does not tell the routers of the request: that what runs may end is the hook's doing, and no error at all is in
// order. Right before the hook runs the interface calls the server stopping: a router that looks just then holds before it is told to, and
// takes the change for one that nobody has planned.
func TestASwitchoverOfAPatroniThatAsksTheRoutersFirstIsLatencyOnly(t *testing.T) {
	h := newHook(t)
	Run(t, Plan{
		Name: "switchover-before-stop", Cluster: h.cluster(), Load: size(), Routers: 2, Router: patroni(),
		Event: func(ctx context.Context, s *Scene) {
			h.asks(s.Routers[0].Admin, s.Routers[1].Admin)
			Switchover(ctx, s)
			if log := s.Leader.LogTail(hookLog); strings.Count(log, "nothing runs on the primary; new work is held until") != len(s.Routers) {
				t.Errorf("the hook was not told by every router that nothing runs any more:\n%s", log)
			}
		},
	})
}

// One router hangs, the other is not there. Patroni, which looks for twenty seconds how its switchover ends, moves the primary all the
// same. The router wakes up when it has gone, and does not hold for a hook that has ended.
func TestRoutersThatDoNotAnswerDoNotKeepPatroniFromASwitchover(t *testing.T) {
	long(t)
	h := newHook(t)
	Run(t, Plan{
		Name: "switchover-before-stop-unanswered", Cluster: h.cluster(), Load: size(), Router: patroni(), May: outrun(1),
		Event: func(ctx context.Context, s *Scene) {
			frozen, absent := s.Routers[0], testrouter.FreeAddress(t)
			h.asks(frozen.Admin, absent)
			s.handOver(ctx, func(ctx context.Context, to *testcluster.PatroniNode) error {
				s.Must(frozen.Signal(syscall.SIGSTOP))
				err := s.Cluster.Switchover(ctx, to)
				s.Must(frozen.Signal(syscall.SIGCONT))
				if err == nil {
					s.Await("the router does not do what nobody waits for", func() bool { return strings.Contains(frozen.Tail(), "order not carried out") })
				}
				return err
			})
			for _, address := range []string{frozen.Admin, absent} {
				if log := s.Leader.LogTail(hookLog); !strings.Contains(log, "the router at http://"+address+" does not answer") {
					t.Errorf("the hook has not asked %s in vain:\n%s", address, log)
				}
			}
		},
	})
}

// The script asks its server first whether it is the primary. One that hangs says nothing, and Patroni waits for the script.
func TestTheHookOfAServerThatHangsEnds(t *testing.T) {
	long(t)
	h := newHook(t)
	h.asks(testrouter.FreeAddress(t), testrouter.FreeAddress(t))
	n := clustertest.StartPatroni(t, testcluster.PatroniOptions{Nodes: 1}).Node(0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n.StopPostgres()
	defer n.Cont()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "exec "+h.command(n))
	cmd.WaitDelay = time.Second // for psql, should it outlive the script
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("the hook ended with %v and said %q: nobody is to be asked", err, out)
	}
}
