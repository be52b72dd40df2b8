package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgressReportsOfPgbenchAreRead(t *testing.T) {
	tests := []struct {
		line string
		want progress
		ok   bool
	}{
		{"progress: 1.0 s, 9998.0 tps, lat 0.099 ms stddev 0.012, 0 failed", progress{1, 9998}, true},
		{"progress: 12.3 s, 7.5 tps, lat 130.250 ms stddev 4.000", progress{12.3, 7.5}, true},
		{"progress: 2.0 s, 0.0 tps, lat -nan ms stddev -nan, 0 failed", progress{2, 0}, true},
		{"progress: 2.0 s, 0.0 tps, lat 0.000 ms stddev 0.000, 0 failed", progress{2, 0}, true},
		{"pgbench: error: connection to server failed", progress{}, false},
		{"progress: 1.2.3 s, 7.5 tps, lat 1.0 ms", progress{}, false},
		{"", progress{}, false},
	}
	for _, test := range tests {
		got, ok := parseProgress(test.line)
		if got != test.want || ok != test.ok {
			t.Errorf("%q: got %+v, %v; want %+v, %v", test.line, got, ok, test.want, test.ok)
		}
	}
}

// meters returns a function whose n-th call tells n times the same use.
func meters(each sample) func() (sample, error) {
	var n uint64
	return func() (sample, error) {
		n++
		return sample{
			ran:   each.ran * time.Duration(n),
			proxy: usage{each.proxy.clock * time.Duration(n), each.proxy.ticks * time.Duration(n), each.proxy.switches * n},
			steal: each.steal * n, total: each.total * n,
		}, nil
	}
}

func TestAWindowGoesFromTheFirstReportToTheLastMeasuredSecond(t *testing.T) {
	const reports = `pgbench (15.20)
progress: 1.0 s, 1.0 tps, lat 900.000 ms stddev 0, 0 failed
progress: 2.0 s, 1000.0 tps, lat 1.000 ms stddev 0, 0 failed
progress: 3.0 s, 3000.0 tps, lat 2.000 ms stddev 0, 0 failed
progress: 4.0 s, 1.0 tps, lat 900.000 ms stddev 0, 0 failed
some last words
`
	var rest strings.Builder
	each := sample{ran: 500 * time.Millisecond, proxy: usage{clock: 10 * time.Millisecond, ticks: 10 * time.Millisecond, switches: 500}, steal: 1, total: 200}
	w, err := watch(strings.NewReader(reports), 2, meters(each), &rest)
	if err != nil {
		t.Fatal(err)
	}
	want := window{
		ran: time.Second, transactions: 4000,
		used: usage{clock: 20 * time.Millisecond, ticks: 20 * time.Millisecond, switches: 1000}, steal: 0.005,
	}
	if w != want {
		t.Errorf("got %+v\nwant %+v", w, want)
	}
	if got := w.tps(); got != 4000 {
		t.Errorf("tps %v, want 4000", got)
	}
	if got := w.latency(8); got != 2*time.Millisecond {
		t.Errorf("latency %v with 8 clients, want 2ms", got)
	}
	if got := w.cpu(); got != 5 {
		t.Errorf("CPU %v µs per transaction, want 5", got)
	}
	if got := w.switches(); got != 0.25 {
		t.Errorf("%v switches per transaction, want 0.25", got)
	}
	if got, want := rest.String(), "pgbench (15.20)\nsome last words\n"; got != want {
		t.Errorf("rest %q, want %q", got, want)
	}
}

func TestALateReportCountsItsWholeInterval(t *testing.T) {
	const reports = "progress: 1.0 s, 5.0 tps, lat 1 ms\nprogress: 3.0 s, 100.0 tps, lat 1 ms\n"
	w, err := watch(strings.NewReader(reports), 2, meters(sample{}), io.Discard)
	if err != nil || w.transactions != 200 {
		t.Errorf("got %v transactions, %v; want 200", w.transactions, err)
	}
}

func TestAWindowThatCannotBeFilledIsAnError(t *testing.T) {
	broken := errors.New("no such process")
	tests := []struct {
		name    string
		reports string
		read    func() (sample, error)
		want    error
	}{
		{"pgbench ended early", "progress: 1.0 s, 5.0 tps, lat 1 ms\nprogress: 2.0 s, 5.0 tps, lat 1 ms\n", meters(sample{}), errShort},
		{"pgbench said nothing", "", meters(sample{}), errShort},
		{"the proxy is gone", "progress: 1.0 s, 5.0 tps, lat 1 ms\n", func() (sample, error) { return sample{}, broken }, broken},
	}
	for _, test := range tests {
		if _, err := watch(strings.NewReader(test.reports), 2, test.read, io.Discard); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
	const stuck = "progress: 1.0 s, 5.0 tps, lat 1 ms\nprogress: 2.0 s, 0.0 tps, lat -nan ms\n"
	if _, err := watch(strings.NewReader(stuck), 1, meters(sample{}), io.Discard); err == nil {
		t.Error("a window without a transaction passed")
	}
}

func TestFailedTransactionsAreNotOverlooked(t *testing.T) {
	const clean = "number of transactions actually processed: 100\nnumber of failed transactions: 0 (0.000%)\n"
	if err := checkFailures(clean); err != nil {
		t.Errorf("a clean summary: %v", err)
	}
	if err := checkFailures(strings.Replace(clean, "failed transactions: 0", "failed transactions: 12", 1)); err == nil {
		t.Error("12 failed transactions passed")
	}
}

func TestAMedianAndItsIntervalDoNotDependOnOrder(t *testing.T) {
	a, b := spreadOf([]float64{3, 1, 2, 5, 4, 6}), spreadOf([]float64{6, 5, 4, 3, 2, 1})
	if a.median != 3.5 || b.median != 3.5 {
		t.Errorf("medians %v and %v, want 3.5", a.median, b.median)
	}
	if a.low < 1 || a.low > a.median || a.high < a.median || a.high > 6 {
		t.Errorf("interval %v–%v does not lie around %v", a.low, a.high, a.median)
	}
	values := []float64{2, 1, 3}
	if s := spreadOf(values); s != (spread{median: 2, low: 1, high: 3, few: true}) {
		t.Errorf("few values: %+v", s)
	}
	if diff := cmp.Diff([]float64{2, 1, 3}, values); diff != "" {
		t.Errorf("the values were changed: %s", diff)
	}
	if s := spreadOf(nil); s != (spread{few: true}) {
		t.Errorf("no values: %+v", s)
	}
}

func TestADifferenceIsClaimedOnlyWhenTheIntervalExcludesIt(t *testing.T) {
	sure := spreadOf([]float64{0.90, 0.91, 0.89, 0.92, 0.90, 0.88, 0.91, 0.90})
	if !sure.differs() {
		t.Errorf("%+v does not exclude 1", sure)
	}
	noise := spreadOf([]float64{0.90, 1.10, 0.95, 1.08, 1.01, 0.97, 1.04, 0.99})
	if noise.differs() {
		t.Errorf("%+v excludes 1", noise)
	}
	if few := spreadOf([]float64{0.5, 0.5}); few.differs() {
		t.Error("two rounds were enough for a claim")
	}
}

func TestARoundWithoutTheMachineIsMeasuredAgainWithinABound(t *testing.T) {
	o := options{rounds: 3, steal: 5}
	quiet, disturbed := round{subject: window{steal: 0.05}}, round{peer: window{steal: 0.06}}
	s := series{}
	for range 2 * o.rounds {
		if s.take(disturbed, o) {
			t.Fatalf("after %d such rounds one counted", s.spoilt)
		}
	}
	if !s.take(quiet, o) || !s.take(disturbed, o) || len(s.rounds) != 2 || s.spoilt != 2*o.rounds {
		t.Errorf("%d rounds count, %d are measured again; want 2 and %d", len(s.rounds), s.spoilt, 2*o.rounds)
	}
}

func TestTheClockOfAProcessCountsItsWork(t *testing.T) {
	before, err := readUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var used usage
	for sum, start := 0, time.Now(); used.clock < 50*time.Millisecond; sum++ {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("the clock stands at %v", used.clock)
		}
		now, err := readUsage(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		used = now.since(before)
	}
	if diff := used.clock - used.ticks; diff < -3*tick || diff > 3*tick {
		t.Errorf("the clock says %v, the ticks say %v", used.clock, used.ticks)
	}
}

func TestMetersOfAProcessThatIsGoneAreAnError(t *testing.T) {
	const nobody = 1 << 22 // above the kernel's greatest pid
	if u, err := readUsage(nobody); err == nil {
		t.Errorf("got %+v", u)
	}
}

func TestTicksAreFoundBehindAnyProgramName(t *testing.T) {
	const stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 2 0 0 0 150 50 0 0 20 0 1 0 100 1000 10"
	got, err := parseTicks(stat)
	if err != nil || got != 2*time.Second {
		t.Errorf("got %v, %v; want 2s", got, err)
	}
	for _, bad := range []string{"", "42 (a) S 1", "42 (a) S 1 42 42 0 -1 4194560 2 0 0 0 x 50 0"} {
		if got, err := parseTicks(bad); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}

func TestSwitchesAndStealAreRead(t *testing.T) {
	if got := parseSwitches("Name:\tx\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n"); got != 42 {
		t.Errorf("got %d switches, want 42", got)
	}
	steal, total, err := parseSteal("cpu  10 20 30 40 5 6 7 8 100 100")
	if err != nil || steal != 8 || total != 126 {
		t.Errorf("got steal %d of %d, %v; want 8 of 126", steal, total, err)
	}
	if _, _, err := parseSteal("cpu0 1 2 3"); err == nil {
		t.Error("a short line passed")
	}
}

func TestOptionsSayAllThatIsWrongAtOnce(t *testing.T) {
	_, err := parseOptions([]string{"-clients", "1,x", "-protocol", "morse", "-peer", "telnet", "-rounds", "0"}, io.Discard)
	if err == nil {
		t.Fatal("nonsense passed")
	}
	for _, want := range []string{`"x"`, `"morse"`, `"telnet"`, "-rounds"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %s", err, want)
		}
	}
}

func TestATurnIsNoLongerThanARun(t *testing.T) {
	for _, turn := range []string{"10ms", "0s", "3001ms"} {
		if _, err := parseOptions([]string{"-seconds", "3", "-turn", turn}, io.Discard); err == nil || !strings.Contains(err.Error(), "-turn") {
			t.Errorf("%s: %v", turn, err)
		}
	}
}

func TestInstructionsAreCountedOfARouterAndNotTimed(t *testing.T) {
	o, err := parseOptions([]string{"-instructions", "-subject", "router=/x/pgrouter"}, io.Discard)
	if err != nil || !o.subject.counted || o.peer.counted {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-instructions", "-write"}, {"-instructions", "-subject", "pgbouncer"}, {"-instructions", "-profile", "x"}} {
		if _, err := parseOptions(args, io.Discard); err == nil {
			t.Errorf("%v passed", args)
		}
	}
}

func TestTheTotalsOfCallgrindAreRead(t *testing.T) {
	n, err := parseTotals(strings.NewReader("version: 1\nevents: Ir\n\nfn=(1) x\n16 400\n\ntotals: 14659271\n"))
	if err != nil || n != 14659271 {
		t.Errorf("%v, %v", n, err)
	}
	if _, err := parseTotals(strings.NewReader("version: 1\nevents: Ir\n")); err == nil {
		t.Error("a file that ends early passed")
	}
}

func TestALoadIsAsLongAsItSays(t *testing.T) {
	l := load{address: "127.0.0.1:6000", protocol: "simple", clients: 4, seconds: 3}
	if args := strings.Join(l.args(), " "); !strings.Contains(args, "--time 5") || strings.Contains(args, "--transactions") {
		t.Error(args)
	}
	l.transactions = 100
	if args := strings.Join(l.args(), " "); !strings.Contains(args, "--transactions 100") || strings.Contains(args, "--time") {
		t.Error(args)
	}
}

func TestTheLineInTheResultsAsksForTheSameAgain(t *testing.T) {
	args := []string{
		"-rounds", "3", "-seconds", "2", "-clients", "1,4", "-protocol", "extended", "-subject", "router=/x/pgrouter",
		"-peer", "pgbouncer", "-pool", "5", "-scale", "2", "-turn", "700ms", "-steal", "7.5", "-write",
	}
	o, err := parseOptions(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseOptions(strings.Fields(o.line()), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o, again, cmp.AllowUnexported(options{}, spec{})); diff != "" {
		t.Error(diff)
	}
}

func TestBothProxiesGetTheSamePoolAndDatabase(t *testing.T) {
	where := site{database: "127.0.0.1:5555", pool: 7}
	router := routerConfig(where, "127.0.0.1:6000", "127.0.0.1:7000")
	for _, want := range []string{"size = 7\n", `nodes = ["127.0.0.1:5555"]`, `address = "127.0.0.1:6000"`, `http = "127.0.0.1:7000"`, `mode = "transaction"`} {
		if !strings.Contains(router, want) {
			t.Errorf("the router's configuration lacks %s:\n%s", want, router)
		}
	}
	bouncer := bouncerConfig(where, "127.0.0.1:6001", "/tmp/users.txt")
	for _, want := range []string{"default_pool_size = 7\n", "app = host=127.0.0.1 port=5555\n", "listen_port = 6001\n", "pool_mode = transaction\n"} {
		if !strings.Contains(bouncer, want) {
			t.Errorf("PgBouncer's configuration lacks %s:\n%s", want, bouncer)
		}
	}
}

// windowOf is a window of one second.
func windowOf(transactions float64, cpu time.Duration) window {
	return window{ran: time.Second, transactions: transactions, used: usage{clock: cpu, ticks: cpu}}
}

func TestTheTableShowsMediansAndRatiosOfPairs(t *testing.T) {
	s := series{protocol: "simple", clients: 16}
	for i := range 6 {
		cpu := 80 * time.Millisecond
		if i%2 == 1 { // every other round the machine is half as fast; the ratio is the same
			cpu *= 2
		}
		s.rounds = append(s.rounds, round{windowOf(10000, cpu), windowOf(8000, cpu)})
	}
	r := &report{options: options{rounds: 6}, subject: "router", peer: "pgbouncer", series: []series{s}}
	var b strings.Builder
	r.writeTable(&b)
	const want = "| simple | 16 | 12.00 (8.00–16.00) | 15.00 (10.00–20.00) | **0.800** (0.800–0.800) | 10000 (10000–10000) | 8000 (8000–8000) | **1.250** (1.250–1.250) | 1.600 | 2.000 |"
	if !strings.Contains(b.String(), want) {
		t.Errorf("no line\n%s\nin\n%s", want, b.String())
	}
	if line := r.roundLine(s, 1, s.rounds[0]); !strings.Contains(line, "cpu ×0.800 tps ×1.250") {
		t.Errorf("the round's line: %s", line)
	}
}

func TestTheResultsAreSavedWithWhatTheyDependOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "RESULTS.md")
	r := &report{subject: "router", peer: "pgbouncer", facts: facts{machine: "Linux 6.1", subjectVersion: "pgrouter 1", peerVersion: "PgBouncer 1.24.1"}}
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Results", "Linux 6.1", "- router: pgrouter 1\n", "- pgbouncer: PgBouncer 1.24.1\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
}
