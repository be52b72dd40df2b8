package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func needPostgreSQL(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	if _, err := testcluster.FindBinaries(ctx); err != nil {
		t.Skip(err)
	}
	return ctx
}

func brief() Options {
	return Options{
		StartRouter: startFake, Clients: 4, Rate: 100, FailoverDelay: 50 * time.Millisecond, Calm: 2 * time.Second,
	}
}

func TestWithoutATerminalTheScriptRunsAndProvesItself(t *testing.T) {
	ctx := needPostgreSQL(t)
	var out bytes.Buffer
	options := brief()
	options.Stdout, options.Stdin = &out, strings.NewReader("")
	options.ReportFile = filepath.Join(t.TempDir(), "report.json")
	if err := Run(ctx, options); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
	content, err := os.ReadFile(options.ReportFile)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if r.Lost != 0 || r.Doubled != 0 || r.Ghosts != 0 || r.Acknowledged == 0 || len(r.Faults) != 0 {
		t.Errorf("report %+v", r)
	}
	if len(r.Events) != 2 || r.Events[0].Kind != failover || r.Events[1].Kind != switchover {
		t.Fatalf("events %+v, want a failover and a switchover", r.Events)
	}
	for _, e := range r.Events {
		checkEvent(t, e)
	}
	if r.Events[0].To != r.Events[1].From {
		t.Errorf("the failover ended at %s, the switchover began at %s", r.Events[0].To, r.Events[1].From)
	}
}

func checkEvent(t *testing.T, e EventReport) {
	t.Helper()
	if e.Detected == nil || *e.Detected < 0 {
		t.Errorf("%s: detected is not told", e.Kind)
	}
	before := 0.0
	for i, ms := range []*float64{e.NewPrimaryWritable, e.NewPrimaryProven, e.FirstWriteServed} {
		if ms == nil || *ms < before {
			t.Fatalf("%s: step %d of writable, proven and served is not told, or not in order: %+v", e.Kind, i, e)
		}
		before = *ms
	}
	if e.From == e.To || e.Error != "" || e.WithoutWrite <= 0 || len(e.Timeline) == 0 {
		t.Errorf("event %+v", e)
	}
	for _, window := range []string{"before", "during", "after"} {
		if p := e.Latency[window]; p.Count == 0 || p.P99 < p.P50 {
			t.Errorf("%s: latency %s is %+v", e.Kind, window, p)
		}
	}
}

func TestARouterThatDoesNotStartLeavesNothing(t *testing.T) {
	ctx := needPostgreSQL(t)
	failure := errors.New("no such router")
	dir := ""
	options := brief()
	options.Stdout = &bytes.Buffer{}
	options.StartRouter = func(_ context.Context, setup Setup) (Router, error) {
		dir = setup.Dir
		return nil, failure
	}
	if err := Run(ctx, options); !errors.Is(err, failure) {
		t.Errorf("error %v, want %v", err, failure)
	}
	if _, err := os.Stat(dir); dir == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%q is still there: %v", dir, err)
	}
}

func TestWithoutPatroniTheDemoSaysHowToInstallIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	options := brief()
	options.Patroni, options.Stdout = true, &bytes.Buffer{}
	err := Run(context.Background(), options)
	if !errors.Is(err, testcluster.ErrNoPatroni) || !strings.Contains(err.Error(), "scripts/setup-patroni") {
		t.Errorf("error %v, want %v", err, testcluster.ErrNoPatroni)
	}
}

func TestAnInterruptedDemoCleansUp(t *testing.T) {
	ctx, cancel := context.WithCancel(needPostgreSQL(t))
	defer cancel()
	dir := ""
	options := brief()
	options.Stdout = &bytes.Buffer{}
	options.StartRouter = func(ctx context.Context, setup Setup) (Router, error) {
		dir = setup.Dir
		time.AfterFunc(time.Second, cancel)
		return startFake(ctx, setup)
	}
	if err := Run(ctx, options); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if _, err := os.Stat(dir); dir == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%q is still there: %v", dir, err)
	}
}

// pty opens a pseudo-terminal of 80 by 24.
func pty(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: usualHeight, Col: usualWidth}); err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	return keyboard, screen
}

// watcher reads a screen and acts each time it has found the next text in what came since the last one.
type watcher struct {
	all   strings.Builder
	since string
	steps []step
}

type step struct {
	text string
	act  func()
}

func (w *watcher) read(screen *os.File) {
	buffer := make([]byte, 4096)
	for {
		n, err := screen.Read(buffer)
		if err != nil {
			return
		}
		w.all.Write(buffer[:n])
		w.since += string(buffer[:n])
		if len(w.steps) == 0 {
			continue
		}
		if _, rest, found := strings.Cut(w.since, w.steps[0].text); found {
			w.steps[0].act()
			w.since, w.steps = rest, w.steps[1:]
		}
	}
}

func TestOnATerminalKeysMakeTheEventsAndTheTerminalIsRestored(t *testing.T) {
	ctx := needPostgreSQL(t)
	keyboard, screen := pty(t)
	before, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	press := func(keys string) func() {
		return func() { _, _ = keyboard.WriteString(keys) }
	}
	const idle = "f  fail the primary"
	w := &watcher{steps: []step{
		{idle, press("xf")}, {failover + " under way", press("f")}, {idle, press("s")}, {switchover + " under way", press("s")}, {idle, press("q")},
	}}
	var drawn sync.WaitGroup
	drawn.Go(func() { w.read(keyboard) })
	options := brief()
	options.Stdin, options.Stdout = screen, screen
	if err := Run(ctx, options); err != nil {
		t.Error(err)
	}
	after, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal is not what it was: %v, error %v; before %v", after, err, before)
	}
	_ = screen.Close() // ends the watcher when it has read everything
	drawn.Wait()
	all := w.all.String()
	if !strings.Contains(all, enterScreen) || strings.LastIndex(all, leaveScreen) < strings.LastIndex(all, enterScreen) {
		t.Error("the other screen was not left")
	}
	for _, want := range []string{"lost 0   doubled 0", "1. failover", "2. switchover", "all is well again"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q was never shown:\n%s", want, all)
		}
	}
	if strings.Contains(all, "3. ") || strings.Contains(all, "FAILED") {
		t.Errorf("more or less happened than keys were pressed:\n%s", all)
	}
}

func TestWhoQuitsInTheMiddleOfAFailoverStillGetsTheProof(t *testing.T) {
	ctx := needPostgreSQL(t)
	keyboard, screen := pty(t)
	w := &watcher{steps: []step{
		{"f  fail the primary", func() { _, _ = keyboard.WriteString("f") }},
		{failover + " under way", func() { _, _ = keyboard.WriteString("\x03") }},
	}}
	var drawn sync.WaitGroup
	drawn.Go(func() { w.read(keyboard) })
	options := brief()
	options.Stdin, options.Stdout = screen, screen
	if err := Run(ctx, options); err != nil {
		t.Error(err)
	}
	_ = screen.Close()
	drawn.Wait()
	if all := w.all.String(); !strings.Contains(all, "lost 0   doubled 0") || !strings.Contains(all, errBrokenOff.Error()) {
		t.Errorf("no proof, or no word about what was broken off:\n%s", all)
	}
}
