package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pgbench is how PostgreSQL's own load program is run. It alone uses that name of a database, whatever stands behind it, so that what
// the router counts for the name is what this one has done.
type pgbench struct {
	program, dsn string
	database     string
	clients      int
	args         string // more of them
}

// initialize makes pgbench's tables.
func (b pgbench) initialize(t *testing.T) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), b.program, "-i", "-q", "-I", "dtgp", b.dsn).CombinedOutput(); err != nil {
		t.Fatalf("pgbench -i: %v\n%s", err, out)
	}
}

// run lets each client do so many transactions, and returns the report and what went to standard error. One that hangs is killed.
func (b pgbench) run(ctx context.Context, transactions int) (report, complaints string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, errors.New("it hangs"))
	defer cancel()
	args := []string{"-n", "-c", strconv.Itoa(b.clients), "-t", strconv.Itoa(transactions)}
	args = append(append(args, strings.Fields(b.args)...), b.dsn)
	cmd := exec.CommandContext(ctx, b.program, args...)
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	if err = cmd.Run(); err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out.String(), told.String(), err
}

// pass is one run in which nothing may fail.
func (b pgbench) pass(ctx context.Context, transactions int) error {
	report, complaints, err := b.run(ctx, transactions)
	all := b.clients * transactions
	flawless := fmt.Sprintf("\nnumber of transactions actually processed: %d/%d\nnumber of failed transactions: 0 (", all, all)
	if err == nil && !strings.Contains(report, flawless) {
		err = errors.New("not all of its transactions were well")
	}
	if err != nil {
		return fmt.Errorf("pgbench %s, database %s: %w\n%s%s", b.args, b.database, err, report, complaints)
	}
	return nil
}

// load is pgbenches at work, one pass after the other, until they are stopped or one of them fails.
type load struct {
	benches []pgbench
	all     sync.WaitGroup
	ending  atomic.Bool
	mu      struct {
		sync.Mutex
		transactions int
		failed       error
	}
}

// startLoad lets them begin. At the latest they are killed with the test.
func startLoad(t *testing.T, benches []pgbench) *load {
	t.Helper()
	l := &load{benches: benches}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		l.all.Wait()
	})
	for _, b := range benches {
		l.all.Go(func() { l.work(ctx, b) })
	}
	return l
}

// work makes passes that are long enough to live through some reloads.
func (l *load) work(ctx context.Context, b pgbench) {
	const transactions = 100
	for !l.ending.Load() {
		err := b.pass(ctx, transactions)
		l.mu.Lock()
		if err == nil {
			l.mu.transactions += b.clients * transactions
		} else {
			l.mu.failed = errors.Join(l.mu.failed, err)
			l.ending.Store(true)
		}
		l.mu.Unlock()
	}
}

// stop lets all passes end, and returns how many transactions there were, and what went wrong.
func (l *load) stop() (transactions int, failed error) {
	l.ending.Store(true)
	l.all.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.transactions, l.mu.failed
}

// guest is a pgbench in a place that it will have to leave.
type guest struct {
	pgbench
	farewells []string   // what each of its clients may be told
	left      chan error // why, when he has; then it is closed
}

// come lets the guest begin, who stays until he is sent away.
func (g *guest) come(t *testing.T) {
	t.Helper()
	const forever = 1e9
	left := make(chan error, 1)
	g.left = left
	go func() {
		report, complaints, err := g.run(t.Context(), forever)
		left <- g.judge(report, complaints, err)
		close(left)
	}()
	t.Cleanup(func() {
		for range left {
		}
	})
}

// gone says whether the guest is not there, or not any more.
func (g *guest) gone() bool { return g == nil || len(g.left) > 0 }

// judge sees that pgbench has ended because each of its clients was told so, and for no other reason. Who is told between two
// connections may try the next one.
func (g *guest) judge(report, complaints string, err error) error {
	told, rest := 0, complaints
	for _, farewell := range g.farewells {
		told += strings.Count(complaints, farewell)
		rest = strings.ReplaceAll(rest, farewell, "")
	}
	_, exited := errors.AsType[*exec.ExitError](err)
	if exited && told >= g.clients && !strings.Contains(rest, "FATAL:") && !strings.Contains(rest, "ERROR:") {
		return nil
	}
	return fmt.Errorf("pgbench %s: %w; %d farewells for %d clients\n%s%s", g.args, err, told, g.clients, report, complaints)
}
