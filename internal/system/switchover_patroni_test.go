//go:build patroni

package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

const patroniRouter = `
[admin]
http = %[1]q
[auth]
user = "app"
password = "${TEST_APP_PASSWORD}"
[pool]
hold_timeout = "60s"
login_hold_timeout = "60s"
[cluster.main]
probe_user = "pgrouter"
probe_password = "${TEST_PROBE_PASSWORD}"
state_dir = %[2]q
drain_timeout = "60s"
switch_timeout = "60s"
[cluster.main.etcd]
endpoints = [%[3]s]
namespace = %[4]q
scope = %[5]q
[[listener]]
address = %[6]q
route = "primary"
`

// managedRouter is a router in front of a cluster that Patroni runs. It reads etcd, where it finds whom to ask for a switchover, too.
type managedRouter struct {
	*testing.T
	write, admin string
}

func startManaged(t *testing.T, c *testcluster.PatroniCluster) *managedRouter {
	t.Helper()
	r := &managedRouter{t, testrouter.FreeAddress(t), testrouter.FreeAddress(t)}
	dir := t.TempDir()
	var stores []string
	for _, e := range c.Endpoints() {
		stores = append(stores, strconv.Quote("http://"+e))
	}
	path := filepath.Join(dir, "pgrouter.toml")
	text := fmt.Sprintf(patroniRouter, r.admin, dir, strings.Join(stores, ","), testcluster.PatroniNamespace, testcluster.PatroniScope, r.write)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testrouter.Binary(t), "run", "--config", path)
	cmd.Env = append(os.Environ(), "PGROUTER_VERIFY=1", "TEST_APP_PASSWORD="+c.Role(testcluster.AppUser).Password,
		"TEST_PROBE_PASSWORD="+c.Role(testcluster.ProbeUser).Password)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the router: %v", err)
		}
		if t.Failed() {
			t.Logf("log of the router:\n%s", log.String())
		}
	})
	r.await("it is ready", func() bool {
		resp, err := http.Get("http://" + r.admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return r
}

// await polls until a condition holds.
func (r *managedRouter) await(what string, is func() bool) {
	r.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	over := time.After(2 * time.Minute)
	for !is() {
		select {
		case <-tick.C:
		case <-over:
			r.Fatalf("it did not come to pass that %s", what)
		}
	}
}

// order asks for a switchover.
func (r *managedRouter) order(to string) {
	r.Helper()
	resp, err := http.Post("http://"+r.admin+"/api/v1/switchover", "application/json", strings.NewReader(fmt.Sprintf(`{"cluster":"main","to":%q}`, to)))
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		r.Fatalf("%s: %s", resp.Status, said)
	}
}

// reports are those of the failovers so far, the oldest first.
func (r *managedRouter) reports() (all []failover.Report) {
	r.Helper()
	resp, err := http.Get("http://" + r.admin + "/api/v1/failovers")
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		r.Fatal(err)
	}
	slices.Reverse(all) // the newest comes first
	return all
}

// letWrite lets clients write until stop is called, which waits for them.
func letWrite(t *testing.T, c *testcluster.PatroniCluster, address string) (load *ledger.Load, stop func()) {
	t.Helper()
	ctx := t.Context()
	conn := connectLeader(t, c)
	if err := ledger.Prepare(ctx, conn, 100); err != nil {
		t.Fatal(err)
	}
	dsn := c.DSN(address, testcluster.AppUser, testcluster.DefaultDatabase)
	load, err := ledger.New(ledger.Config{
		WriteDSN: dsn, ReadDSN: dsn, Clients: 8, Rate: 300, Subscribers: 100,
		Timeout: 90 * time.Second, // longer than anybody is held
		Mix:     ledger.Mix{Register: 40, Record: 40, Call: 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { load.Run(ctx) })
	stop = func() {
		load.Stop()
		running.Wait()
	}
	t.Cleanup(stop)
	return load, stop
}

func connectLeader(t *testing.T, c *testcluster.PatroniCluster) *pgx.Conn {
	t.Helper()
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := leader.ConnectTo(t.Context(), testcluster.DefaultDatabase)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// verifyWrites compares what clients were told with what is there, and says how many were told of errors.
func verifyWrites(t *testing.T, c *testcluster.PatroniCluster, load *ledger.Load) (errors int64) {
	t.Helper()
	v, err := load.Verify(t.Context(), connectLeader(t, c))
	if err != nil || !v.Clean() {
		t.Errorf("rows: %+v, %v", v, err)
	}
	t.Logf("%+v", v)
	return v.Failed + v.Unknown
}

// TestASwitchoverByPatroniUnderWritersShowsNoError orders two at the router while clients write: Patroni moves the primary, and nobody
// sees an error, or loses a row. A third is ordered at Patroni itself: the router holds as soon as the request is there.
func TestASwitchoverByPatroniUnderWritersShowsNoError(t *testing.T) {
	c := clustertest.StartPatroni(t, testcluster.PatroniOptions{})
	r := startManaged(t, c)
	load, stop := letWrite(t, c, r.write)
	for i, to := range []int{1, 2} {
		r.settle(c, load)
		r.order(c.Node(to).Addr())
		report := r.report(i)
		if report.Source != failover.SourceOrder || report.Warmed == 0 || report.Drained.IsZero() || report.LongestHold == 0 {
			t.Errorf("report %+v", report)
		}
	}
	stop()
	if n := verifyWrites(t, c, load); n != 0 {
		t.Errorf("writers saw %d errors", n)
	}
	load, stop = letWrite(t, c, r.write)
	r.settle(c, load)
	if err := c.Switchover(t.Context(), c.Node(0)); err != nil {
		t.Fatal(err)
	}
	if report := r.report(2); report.Source != failover.SourceRequest || report.Warmed == 0 || !report.HoldStart.Before(report.LeaderGone) {
		t.Errorf("report %+v", report)
	}
	stop()
	verifyWrites(t, c, load) // what ran when Patroni stopped the server may have ended with an error
}

// settle waits until the load runs and all nodes follow.
func (r *managedRouter) settle(c *testcluster.PatroniCluster, load *ledger.Load) {
	r.Helper()
	writes := func() uint64 { total := load.Total(); all := total.All(); return all.Count() }
	before := writes()
	r.await("the load runs", func() bool { return writes() > before+200 })
	if err := c.AwaitReady(r.Context()); err != nil {
		r.Fatal(err)
	}
}

// report waits for the i-th report of a switchover.
func (r *managedRouter) report(i int) failover.Report {
	r.Helper()
	r.await("the report is complete", func() bool { return len(r.reports()) > i })
	report := r.reports()[i]
	r.Logf("%+v", report)
	if report.Outcome != "switched_over" || report.LeaderGone.IsZero() || report.LeaderNew.IsZero() || report.FirstServed.IsZero() {
		r.Errorf("report %+v", report)
	}
	return report
}
