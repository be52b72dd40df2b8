package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/bench/program"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// reportEvery is the interval of pgbench's progress reports in seconds.
const reportEvery = 1

// progress is one of pgbench's progress reports.
type progress struct {
	at  float64 // seconds since the start
	tps float64
}

// progressLine is how pgbench 14 to 18 report: "progress: 1.0 s, 9998.0 tps, lat 0.099 ms stddev 0.012, 0 failed".
var progressLine = regexp.MustCompile(`^progress: ([0-9.]+) s, ([0-9.]+) tps, lat (?:[0-9.]+|-?nan) ms`)

// parseProgress reads a line that pgbench wrote to stderr; false when it is no progress report.
func parseProgress(line string) (progress, bool) {
	m := progressLine.FindStringSubmatch(line)
	if m == nil {
		return progress{}, false
	}
	at, errAt := strconv.ParseFloat(m[1], 64)
	tps, errTPS := strconv.ParseFloat(m[2], 64)
	if errAt != nil || errTPS != nil {
		return progress{}, false
	}
	return progress{at: at, tps: tps}, true
}

// window is what happened between two progress reports.
type window struct {
	ran          time.Duration // time in which it was the load's turn
	transactions float64
	used         usage   // by the proxy
	steal        float64 // share of the machine's time that its host gave to others, 0 to 1
}

// tps returns transactions per second.
func (w window) tps() float64 { return w.transactions / w.ran.Seconds() }

// latency returns the mean time of a transaction: each client has one under way all the time.
func (w window) latency(clients int) time.Duration {
	return time.Duration(float64(w.ran) * float64(clients) / w.transactions)
}

// cpu returns the proxy's CPU time per transaction, in microseconds.
func (w window) cpu() float64 {
	return float64(w.used.clock) / float64(time.Microsecond) / w.transactions
}

// coarseCPU is cpu by the kernel's ticks: a check on cpu, too coarse for short windows.
func (w window) coarseCPU() float64 {
	return float64(w.used.ticks) / float64(time.Microsecond) / w.transactions
}

// switches returns how often the proxy slept or was pre-empted per transaction.
func (w window) switches() float64 { return float64(w.used.switches) / w.transactions }

// sample reads the meters at one moment: how long the load has run, the proxy's usage, and the machine's steal and total time in ticks.
type sample struct {
	ran          time.Duration
	proxy        usage
	steal, total uint64
}

// errShort says that pgbench ended before the window was full.
var errShort = errors.New("pgbench ended before the measured time was over")

// watch reads pgbench's reports and measures from the first of them, which ends the warm-up, until the given seconds are over. It reads
// on to the end. What is no report goes to rest.
func watch(reports io.Reader, seconds int, read func() (sample, error), rest io.Writer) (window, error) {
	const slack = 0.2 // reports come a little early or late
	var w window
	var from, last progress
	var first sample
	var started, done bool
	lines := bufio.NewScanner(reports)
	for lines.Scan() {
		p, ok := parseProgress(lines.Text())
		switch {
		case !ok:
			fmt.Fprintln(rest, lines.Text())
			continue
		case done:
			continue
		}
		now, err := read()
		if err != nil {
			return w, err
		}
		if !started {
			started, from, last, first = true, p, p, now
			continue
		}
		w.transactions += p.tps * (p.at - last.at)
		last = p
		if p.at-from.at >= float64(seconds)-slack {
			w.finish(first, now)
			done = true
		}
	}
	switch {
	case lines.Err() != nil:
		return w, lines.Err()
	case !done:
		return w, errShort
	case w.transactions == 0:
		return w, errors.New("pgbench did not get a single transaction through")
	}
	return w, nil
}

func (w *window) finish(from, to sample) {
	w.ran = to.ran - from.ran
	w.used = to.proxy.since(from.proxy)
	if total := to.total - from.total; total > 0 {
		w.steal = float64(to.steal-from.steal) / float64(total)
	}
}

// load is one run of pgbench.
type load struct {
	program  string
	address  string // host:port
	protocol string
	clients  int
	seconds  int // by the clock, those in which it is stopped as well

	transactions int // of each client; 0: the seconds count
}

func (l load) args() []string {
	host, port, _ := strings.Cut(l.address, ":")
	threads := min(2, l.clients)
	// One second to warm up, one more so that the last report surely comes.
	length := []string{"--time", strconv.Itoa(l.seconds + 2*reportEvery), "--progress", strconv.Itoa(reportEvery)}
	if l.transactions > 0 {
		length = []string{"--transactions", strconv.Itoa(l.transactions)}
	}
	return append(length,
		"--no-vacuum", "--select-only", "--protocol", l.protocol,
		"--client", strconv.Itoa(l.clients), "--jobs", strconv.Itoa(threads),
		"--host", host, "--port", port, "--username", testcluster.AppUser, testcluster.DefaultDatabase,
	)
}

func (l load) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, l.program, l.args()...)
	cmd.Env = append(os.Environ(), "PGSSLMODE=disable", "PGGSSENCMODE=disable")
	return cmd
}

// run runs pgbench and measures the proxy under it. Failed transactions and lost connections are errors: nothing here may fail. own stops
// it and lets it go on.
func (l load) run(ctx context.Context, own *stopwatch, read func() (sample, error)) (window, error) {
	var output, rest bytes.Buffer
	cmd := l.command(ctx)
	cmd.Stdout = &output
	reports, err := cmd.StderrPipe()
	if err != nil {
		return window{}, err
	}
	if err := cmd.Start(); err != nil {
		return window{}, err
	}
	own.started(cmd.Process)
	w, err := watch(reports, l.seconds, read, &rest)
	if failed := cmd.Wait(); failed != nil {
		return w, fmt.Errorf("pgbench through %s: %w\n%s", l.address, failed, program.Tail(rest.String()))
	}
	if err != nil {
		return w, fmt.Errorf("pgbench through %s: %w\n%s", l.address, err, program.Tail(rest.String()))
	}
	return w, checkFailures(output.String())
}

// failedLine is in the summary of pgbench 15 and newer.
var failedLine = regexp.MustCompile(`(?m)^number of failed transactions: ([0-9]+)`)

func checkFailures(summary string) error {
	if m := failedLine.FindStringSubmatch(summary); m != nil && m[1] != "0" {
		return fmt.Errorf("%s transactions failed", m[1])
	}
	return nil
}

// initialise fills pgbench's tables.
func (db *database) initialise(ctx context.Context, scale int) error {
	host, port, _ := strings.Cut(db.node.Addr(), ":")
	cmd := exec.CommandContext(ctx, db.pgbench(), "--initialize", "--quiet", "--scale", strconv.Itoa(scale),
		"--host", host, "--port", port, "--username", testcluster.AppUser, testcluster.DefaultDatabase)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench --initialize: %w\n%s", err, program.Tail(string(output)))
	}
	return nil
}

func (db *database) pgbench() string { return filepath.Join(db.Binaries(), "pgbench") }
